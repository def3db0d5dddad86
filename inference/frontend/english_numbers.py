"""Figures, symbols and abbreviations in English text, as English: a table of rules, most particular first."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from inference.frontend import units
from inference.frontend.numerals import (
    FILES,
    SERIAL,
    en_cardinal,
    en_digits,
    en_figures,
    en_last_two,
    en_number,
    en_ordinal,
    en_plural,
    en_year,
    roman,
)
from inference.frontend.rules import Match, Rule, Table, after, before, note
from inference.frontend.words import Change

_N: Final = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)?"
_TO: Final = r"\s?(?:[-~～–]|—{1,2})\s?"
_UNIT: Final = units.pattern(1)
_DOT: Final = r"(?:\.(?=\s[a-z\d(&$£€]|[,;:)]))?"
"""The dot of an abbreviated unit that ends no sentence: 12 oz., 50 lbs. (23 kg)."""

_ABBREVIATIONS: Final = {
    "Mr.": "Mister", "Mrs.": "Missus", "Ms.": "Miz", "Dr.": "Doctor", "Prof.": "Professor", "St.": "Saint",
    "Jr.": "Junior", "Sr.": "Senior", "vs.": "versus", "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is",
    "approx.": "approximately", "Inc.": "Incorporated", "Ltd.": "Limited", "Co.": "Company", "Corp.": "Corporation",
    "Dept.": "Department", "dept.": "department", "Fig.": "Figure", "fig.": "figure", "Gen.": "General",
    "Sen.": "Senator", "Rep.": "Representative", "Gov.": "Governor", "Capt.": "Captain", "Sgt.": "Sergeant",
    "Lt.": "Lieutenant", "Col.": "Colonel", "Maj.": "Major", "Rev.": "Reverend", "Hon.": "Honorable", "Mt.": "Mount",
    "Ave.": "Avenue", "Blvd.": "Boulevard", "Rd.": "Road", "Apt.": "Apartment", "est.": "established",
    "Est.": "Established", "Sta.": "Station", "dep.": "departs", "arr.": "arrives", "Term.": "Terminal",
    "Dir.": "Director", "Temp.": "Temperature",
    "Pop.": "Population", "pop.": "population", "Elev.": "Elevation", "Cat.": "Category",
    "Ch.": "Chapter", "ch.": "chapter", "Sec.": "Section", "sec.": "section", "ver.": "version", "Ver.": "Version",
    "ext.": "extension", "Ext.": "Extension", "ep.": "episode", "Ep.": "Episode", "eps.": "episodes",
    "Eps.": "Episodes", "Tel.": "Telephone", "tel.": "telephone", "ed.": "edition", "fl.": "floor", "Nos.": "Numbers",
    "nos.": "numbers", "Art.": "Article", "para.": "paragraph", "Pt.": "Part", "pt.": "part", "figs.": "figures",
    "Figs.": "Figures", "chs.": "chapters", "Chs.": "Chapters", "vols.": "volumes", "Vol.": "Volume", "vol.": "volume",
    "Mon.": "Monday", "Tue.": "Tuesday", "Tues.": "Tuesday", "Wed.": "Wednesday", "Thu.": "Thursday",
    "Thur.": "Thursday", "Thurs.": "Thursday", "Fri.": "Friday",
    "Ph.D.": "PHD", "Ph.D": "PHD", "a.m.": "AM", "p.m.": "PM", "A.M.": "AM", "P.M.": "PM",
    "max.": "maximum", "Max.": "Maximum", "min.": "minimum", "Min.": "Minimum", "avg.": "average", "Avg.": "Average",
    "sq. ft.": "sq ft", "Sq. ft.": "Square feet", "sq. mi.": "sq mi", "fl. oz.": "fl oz",
    "Bros.": "Brothers", "Messrs.": "Messieurs", "Supt.": "Superintendent", "Atty.": "Attorney", "Pvt.": "Private",
    "Cpl.": "Corporal", "Cmdr.": "Commander", "Adm.": "Admiral", "Pres.": "President", "Ft.": "Fort",
    "Govt.": "Government", "govt.": "government", "misc.": "miscellaneous", "incl.": "including", "Univ.": "University",
    "Assn.": "Association", "Bldg.": "Building", "Hwy.": "Highway", "Ste.": "Suite", "Rm.": "Room", "qty.": "quantity",
}  # fmt: skip
_ENDING: Final = frozenset("etc. Inc. Ltd. Co. Corp. Jr. Sr. Ave. Blvd. Rd. Ph.D. a.m. p.m. A.M. P.M.".split())
"""Abbreviations that may end a sentence; after the others comes a name or a number."""
_COUNTING: Final = frozenset(
    "Fig. fig. Vol. vol. Ext. ext. Apt. Bldg. Hwy. Ste. Rm. dep. arr. Term. ver. Ver. Pop. pop. Elev. Cat. Ch. ch. "
    "Sec. sec. Temp. ep. Ep. eps. Eps. Tel. tel. Nos. nos. Art. para. Pt. pt. figs. Figs. chs. Chs. vols.".split()
)
"""Abbreviations only before a number: I ate a fig."""
_MONTHS: Final = {
    "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July",
    "Aug": "August", "Sep": "September", "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip
_MONTH_NAMES: Final = tuple(
    "January February March April May June July August September October November December".split()
)
_MONTH: Final = "|".join((*_MONTH_NAMES, *sorted(_MONTHS, key=len, reverse=True)))
_CURRENCY: Final = {
    "$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", ""), "₩": ("won", ""),
    "₹": ("rupee", "paisa"), "US$": ("dollar", "cent"),
}  # fmt: skip
_SCALES: Final = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "b": "billion", "B": "billion",
                  "bn": "billion", "T": "trillion"}  # fmt: skip
_SYMBOLS: Final = {
    "%": " percent ", "‰": " per mille ", "+": " plus ", "=": " equals ", "×": " times ", "÷": " divided by ",
    "±": " plus or minus ", "≈": " is about ", "≠": " is not ", "≤": " at most ", "≥": " at least ", "*": " times ",
    "<": " less than ", ">": " greater than ", "&": " and ", "@": " at ", "°": " degrees ", "$": " dollars ",
    "¥": " yen ", "¢": " cents ", "€": " euros ", "£": " pounds ", "₩": " won ", "₹": " rupees ", "₽": " rubles ",
    "√": " root of ", "∞": " infinity ", "→": " to ", "∶": " to ", "μ": " mu ", "Ω": " ohm ",
}  # fmt: skip
_PER: Final = {
    "ea": " each", "each": " each", "mo": " per month", "yr": " per year", "hr": " per hour", "wk": " per week",
    "sec": " per second", "bbl": " per barrel", "lb": " per pound", "oz": " per ounce", "gal": " per gallon",
    "pp": " per person",
    "sq ft": " per square foot", "sqft": " per square foot",
}  # fmt: skip
_MANY: Final = (
    "people|fans|users|viewers|subscribers|followers|customers|children|homes|jobs|copies|views|downloads|tons|tonnes|"
    "barrels|euros|pounds|dollars|years|times|households|workers|members|visitors|passengers|vehicles|cars|units|"
    "shares|votes|voters|adults|residents|players|accounts|hectares|acres|women|men|students|pupils|patients|tourists"
)
"""What is counted by the million, so that the m of 3.4m is no meter."""
_MOVED: Final = re.compile(
    r"(?i)\b(?:rose|fell|up|down|by|gained|lost|cut|added|jumped|climbed|dropped|widened|narrowed|rates|yields?)"
    r"(?: about| some| another)?\s$"
)
_MOVED_NEXT: Final = re.compile(r"\s(?:cut|hike|rise|drop|increase|higher|lower|above|below)\b")
_ORDERED: Final = {"min": "minute", "hr": "hour", "yr": "year", "wk": "week", "Fl": "floor"}
_PRICED: Final = re.compile(r"(?:[$£€¥]\s?[\d.,]+[kKmMbB]?|\d\s?(?:[KMGT]B|[¢p]))$")
_CHAINED: Final = {".": " point ", "+": " plus ", "=": " equals ", "*": " times ", ",": ", ", "/": ", "}

_CODE: Final = re.compile(
    r"(?i)\b(?:password|passcode|pin|zip(?: code)?|code|id|account|agent|extension|area code|text \w{2,12} to|"
    r"serial number|phone|call|dial|ring|number)(?: number)?(?: is| was|:|,)?\s?$"
)
_COUNTED_NEXT: Final = re.compile(
    r"\s?(?:people|tickets|dollars|euros|yen|pounds|points|meters|miles|students|seats|words|pages|times|days|hours|"
    r"years)"
)
_CALLED: Final = re.compile(r"(?i)\b(?:call|dial|dialed|dialled|called|phone|ring)\s$")
_ARTICLE: Final = re.compile(
    r"(?i)(?:\b(?:a|an|the|this|that|his|her|my|our|their|your|one|every)"
    r"|(?<!\bit)(?<!hat)(?<!\bhe)(?<!\bshe)(?<!ere)(?<!who)(?<!let)'s)\s$"
)
_NOUN_NEXT: Final = re.compile(
    r"\s(?!(?:you|we|he|she|they|it|i|that|which|a|an|in|on|of|for|last|this|each|per|and|or|to|from|was|is|today|with|"
    r"against|by|as|at|after|than|before|into|more|less|via|when|while|because|since|so|if|but)\b)"
    r"(?:[a-z]{3,}|[A-Z][A-Za-z]+)"
)
_DEAL_NEXT: Final = re.compile(
    r"\s(?:deal|contract|bill|note|check|budget|lawsuit|settlement|investment|project|loan|fine|program|plan|package|"
    r"mortgage|grant|gift card|fund|prize|valuation|bond|bonus|deposit|fee|bid|offer|bailout)\b"
)
_THING_NEXT: Final = re.compile(
    r"[ -](?!(?:in|on|of|for|last|this|each|per|and|or|to|from|was|were|is|are|today|with|at|by|than|that|after|before|"
    r"away|ago|long|wide|tall|high|deep|left|into|above|below|over|under|if|but|as|we|i|you|he|she|it|they|during|until|"
    r"between|because|since|through|throughout|while|when|within|without|unless|where|which|depending|apart)\b)"
    r"(?:[a-z]{2}[a-z-]*(?<!ed)(?<!ly)(?![a-z])|[A-Z][A-Za-z]+)"
)
_RACE_NEXT: Final = re.compile(
    r"\s(?:(?:individual|free|women's|men's|mixed)\s)?(?:freestyle|free|backstroke|breaststroke|butterfly|fly|medley|"
    r"relay|hurdles|dash|sprint|steeplechase|final|race|gold|silver|bronze|world|champion|record|title|run|swim|walk)\b"
)
_PACK_NEXT: Final = re.compile(
    r"\s(?:bag|bottle|can|pack|box|jar|carton|tub|drive|cable|roll|tin|sack|tank|container|screen|monitor|charger|"
    r"adapter|bulb|steak|burger|pizza|pot|walk|run|ride|hike|radius|range|delay|wait|break|session|class|workout|warranty|"
    r"lease|term|SSD|HDD|hard drive|flash drive|memory card|battery|sensor|lens)s?\b"
)
"""What is measured in a word that is no plural: a 256GB SSD, the 200m freestyle."""
_NAME_BEFORE: Final = re.compile(r"\b[A-Z][A-Za-z]*[\s-]?$")
_WORD_BEFORE: Final = re.compile(r"(?:Wait|Delay|Timeout|For|After|Within|Every|In|Hold|Rest|Took|Takes|Set|To)\s$")
_IN: Final = re.compile(r"\bin\s$")
_DECADE: Final = re.compile(
    r"(?i)(?:\b(?:the|his|her|their|my|our|your|mid|early|late|low|high|upper|lower|in|into|from|of|like)|"
    r"\d0'?s (?:and|or|to|through))[ -]$"
)
_LASTING: Final = re.compile(
    r"(?i)\b(?:(?:time|times|record|best|mark|pace|split|length|duration|runtime) (?:of|is|was|:)|clocked(?: in at)?|"
    r"clocking|ran|runs|lasted|lasts|took|lasting|(?:finish|finished|won|home|race|marathon|mile|done|it) in)"
    r"(?: about| only| just)?\s$"
)
_DATED: Final = re.compile(r"(?i)\b(?:in|since|by|until|of|year|from|before|after)\s$")
_LONG_AGO: Final = re.compile(r"(?i)\b(?:in|since|year)\s$")
_RANGED: Final = re.compile(r"(?:^|[^A-Za-z\d.-])[\d.,]++$|[M%]$|\d\s?[AaPp](?:\.?[Mm]\.?)?\s?$")
_UNTIL: Final = re.compile(r"\s?[-–—]\s?\d")
_SMALL_LETTER: Final = re.compile(r"[a-z]$|[A-Z]\d$|(?<![A-Z])[A-Z]{3}$")
_DAY_END: Final = re.compile(r"\d(?:st|nd|rd|th)?,?\s?$")
_OPERAND: Final = re.compile(r"[\w)%]\s?$")
_VARIABLE: Final = re.compile(r"(?:\^\d|(?:^|[\s(=+-])[A-Zb-z])\s$")
_ALGEBRA: Final = re.compile(r"[-+=*/^(]\s?$")
_EQUALS_NEXT: Final = re.compile(r"\s?=")
_REIGNING: Final = frozenset(
    "Henry Elizabeth Louis George Charles William Edward James Richard Mary Paul Philip Napoleon Catherine Peter "
    "Nicholas Alexander Frederick Benedict Francis Pius Leo Ivan Ramses Wilhelm Victor Emmanuel Gregory Innocent "
    "Clement Urban Sixtus Julius Otto Albert Leopold Ferdinand Alfonso Christian Gustav Harald Olaf Pedro Augustus "
    "Xerxes Darius Ptolemy Cleopatra Mehmed Murad Selim Suleiman Felipe Juan Carlos Rama Edgar".split()
)
"""Their Roman numbers are ordinals: Henry the eighth."""
_NUMBERED: Final = frozenset(
    "Chapter Part War Volume Vol Act Phase Type Book Episode Section Appendix Level Stage Class Title Article Mark "
    "Bowl Scene Figure Table Group Grade Tier Step Division Unit Season Wave Apollo Rocky Fantasy Quest "
    "Civilization".split()
)
"""What has even a Roman number of one letter: Act one, but Malcolm X."""


def say(text: str, changes: list[Change], seen: str | None = None, at: int = 0, end: int | None = None) -> str:
    """The stretch of the text with its figures and symbols said in English. No ASCII digit is left."""
    return _table().say(text, changes, seen, at, end)


def join_abbreviations(text: str, changes: list[Change]) -> str:
    """Take the dot from abbreviations and initials, so that it ends no sentence: Dr. Li → Doctor Li, U.S. → US."""
    if not _SHORTENED.search(text):
        return text

    def short(match: Match) -> str:
        said = _abbreviation(match)
        note(changes, "abbreviation", match.group().strip(), said.strip())
        return said

    def initials(match: Match) -> str:
        said = _initials(match)
        note(changes, "initials", match.group().strip(), said.strip())
        return said

    text = _ABBREVIATION.sub(short, text)
    text = _INITIALS.sub(initials, text)
    return _INITIAL.sub(r"\1", text)


_ABBREVIATION: Final = re.compile(
    r"(?<![A-Za-z.])(?:"
    + "|".join(map(re.escape, sorted(_ABBREVIATIONS, key=len, reverse=True)))
    + r")(?![A-Za-z])(\s{0,3})"
)
_SHORTENED: Final = re.compile(
    r"\.(?:(?<=^[A-Za-z]\.)|(?<=[^A-Za-z][A-Za-z]\.)|"
    + "|".join(f"(?<={re.escape(short)})" for short in _ABBREVIATIONS if short.endswith("."))
    + ")|Ph\\.D"
)
"""A dot that may belong to an abbreviation. It looks back from the dots, of which there are few."""
_INITIALS: Final = re.compile(r"(?<![A-Za-z.])((?:[A-Za-z]\.){2,26})(?![A-Za-z])(\s{0,3})")
_INITIAL: Final = re.compile(r"(?<![A-Za-z.'])([B-HJ-Z])\.(?=\s[A-Z][a-z.'])")
_TRAVEL: Final = frozenset({"dep.", "arr."})
_RECKONED: Final = {"est.": "estimated", "Est.": "Estimated"}
"""What is no year's founding: est. delivery."""
_LIMITS: Final = frozenset("sec. max. Max. min. Min. avg. Avg. Adm. Pres. Ft.".split())
"""Abbreviations that are words or names too, or stand after a number: 30 min."""
_RANKED: Final = frozenset("Adm. Pres. Ft.".split())
_NTH: Final = re.compile(r"(?:\d(?:st|nd|rd|th)|[Rr]ev\.|revised|second|third|new) $")
_LEADING: Final = re.compile(r"(?:^|[|,–—\n-]\s?|\b(?:a|an|the|as|our|is)\s)$")
_COUNT: Final = re.compile(r"\d[\s-]?$")
_ZONE: Final = re.compile(r"(?:[ECMP][SD]?T|GMT|UTC|BST|CES?T|JST|IST)\b|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day")
_STREET_NAME: Final = re.compile(r"(?:[A-Z][a-z]+|\d(?:st|nd|rd|th)) $")
_NO_STREET: Final = re.compile(
    r"(?:^|\W)(?:The|An?|In|On|At|To|From|Of|And|But|Or|For|With|By|Near|East|Mount|Mt|Port|Lake|Fort|Cape|Bay|Old|New|"
    r"Visit|When|If|After|Before|Since|As|Our|My|His|Her|Their|Is|Was|Like|Via|Feast|Both|While|Then|So|"
    r"Sister|Around) $"
)
_SAINTS: Final = re.compile(
    r"(?:Louis|Paul|Petersburg|Patrick|John|Mary|Nick|Nicholas|Cloud|Helens|Joseph|Peter|George|Andrew|James|Thomas|"
    r"Augustine|Lawrence|Martin|Moritz|Lucia|Kitts|Croix|Vincent|Jude|Francis|Catharines|Johns|Charles|Bernard|Anthony|"
    r"Michael|Luke|Mark|Matthew|Ann|Anne|Clair|Albans|Tropez|Barts|Bonaventure|Valentine|Regis|Elizabeth|Stephen)(?![a-z])"
)
"""Saints after whom towns, schools and churches are named."""


def _abbreviation(match: Match) -> str:
    short, follows = match.group().rstrip(), match.string[match.end() : match.end() + 1]
    counts = follows.isdigit() or (short in _TRAVEL and follows.isupper())
    if (short in _COUNTING and not counts) or (short in {"ed.", "fl."} and not before(match, _NTH)):
        return match.group()
    if short in _RECKONED and not follows.isdigit():
        return _RECKONED[short] + match[1]
    if short in _LIMITS and (before(match, _COUNT) or not (follows.islower() or follows.isdigit() or short in _RANKED)):
        return match.group()
    if short in {"St.", "Dr."} and before(match, _STREET_NAME) and (short == "St." or not follows.isupper()):
        saint = follows.isupper() and not before(match, _NTH)
        saint = saint and (after(match, _SAINTS) or before(match, _NO_STREET))  # The St. Louis Cardinals
        stop = "." if not follows or (follows.isupper() and short == "St.") else ""
        street = ("Street" if short == "St." else "Drive") + stop  # Baker St., Ocean Dr. in Miami
        return ("Saint" if saint else street) + match[1]
    if short in {"Sr.", "Jr."} and before(match, _LEADING):
        return _ABBREVIATIONS[short] + match[1]  # Sr. Engineer
    ends = short in _ENDING and (not follows or "\n" in match[1] or follows.isupper()) and not after(match, _ZONE)
    return _ABBREVIATIONS[short] + ("." if ends else "") + match[1]


def _initials(match: Match) -> str:
    follows = match.string[match.end() : match.end() + 1]
    return match[1].replace(".", "").upper() + ("." if not follows or "\n" in match[2] else "") + match[2]


def _number(text: str) -> str:
    return en_number(text) if "." in text or "," in text else en_cardinal(text)


def _chain(match: Match) -> str:
    parts = re.split(r"(\D+)", match.group())
    return "".join(_part(part) if part.isdigit() else _CHAINED.get(part, " ") for part in parts)


def _part(digits: str) -> str:
    return en_cardinal(digits) if len(digits) < 3 else en_digits(digits)


def _money(match: Match) -> str:
    sign, low, high = match[1], match[2].replace(",", ""), (match[3] or "").replace(",", "")
    major, minor = _CURRENCY[sign]
    majors = major if major in {"yen", "won"} else major + "s"
    scale = match[4] or _SCALES.get(match[5] or "", "")
    if high:
        return f"{_number(low)} to {_number(high)} {scale + ' ' if scale else ''}{majors}"
    if after(match, _DEAL_NEXT) or (before(match, _ARTICLE) and after(match, _NOUN_NEXT)):
        # a $20 bill: an adjective has no plural
        return f"{_number(low)} {scale + ' ' if scale else ''}{major}"
    if scale:
        return f"{_number(low)} {scale} {majors}"
    whole, _, cents = low.partition(".")
    named = major if whole.lstrip("0") == "1" else majors
    if not cents.strip("0"):
        return f"{en_cardinal(whole)} {named}"
    if len(cents) != 2 or not minor:
        return f"{en_number(low)} {majors}"
    count = cents.lstrip("0")
    small = minor if count == "1" else "pence" if minor == "penny" else minor + "s"
    said = f"{en_cardinal(count)} {small}"
    return said if not whole.strip("0") else f"{en_cardinal(whole)} {named} {said}"


def _clock(match: Match) -> str:
    hour, minute, second, half = match[1], match[2], match[3], match[4]
    said = en_cardinal(str(int(hour)))
    if minute != "00" or second:
        said += " " + ("oh " + en_cardinal(minute[1]) if minute[0] == "0" else en_cardinal(minute))
    elif not half and not after(match, _UNTIL):
        said += " o'clock"
    if second:
        said += f" and {en_cardinal(str(int(second)))} seconds"
    return said + (f" {half.upper()}M" if half else "")


def _half_day(match: Match) -> str:
    """9a, 7:30p."""
    minutes = f" {en_last_two(match[2])}" if match[2] and match[2] != "00" else ""
    return f"{en_cardinal(match[1])}{minutes} {match[3].upper()}M"


def _race(match: Match) -> str:
    """1:54.32: one fifty four point three two."""
    hours, minutes, seconds, parts = match.groups()
    said = f"{en_cardinal(hours)} " if hours else ""
    said += en_last_two(minutes) if hours and len(minutes) == 2 else en_cardinal(str(int(minutes)))
    return f"{said} {en_last_two(seconds)} point {en_digits(parts)}"


def _duration(match: Match) -> str | None:
    """2h 20m, 5m30s, 3d 4h."""
    names = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
    pairs = [pair for pair in zip(match.groups()[::2], match.groups()[1::2], strict=True) if pair[0]]
    units_ = "".join(unit for _, unit in pairs)
    if units_ not in "dhms":
        return None
    counted = ((many.lstrip("0") or "0", names[unit]) for many, unit in pairs)
    return " ".join(f"{_number(many)} {name}{'s' * (many != '1')}" for many, name in counted)


def _lasting(match: Match) -> str:
    """How long something took: ran it in 2:01:39."""
    hours, minutes, seconds = match.groups()
    told = ((hours or "0", "hour"), (minutes, "minute"), (seconds, "second"))
    return " ".join(f"{en_cardinal(str(int(many)))} {unit}{'s' * (int(many) != 1)}" for many, unit in told if int(many))


def _iso_date(match: Match) -> str:
    return _said_date(int(match[2]), int(match[3]), match[1])


def _slash_date(match: Match) -> str | None:
    month, day = int(match[1]), int(match[2])
    if month > 12:
        month, day = day, month
    return _said_date(month, day, match[3]) if month <= 12 else None


def _said_date(month: int, day: int, year: str) -> str:
    return f"{_MONTH_NAMES[month - 1]} {en_ordinal(str(day))}, {en_year(year)}"


def _month_day(match: Match) -> str | None:
    if not match[3] and after(match, _COUNTED_NEXT):
        return None  # in December 5 people left
    said = f"{_MONTHS.get(match[1], match[1])} {en_ordinal(match[2].lstrip('0'))}"
    return said + (f" to {en_ordinal(match[3].lstrip('0'))}" if match[3] else "")


def _day_month(match: Match) -> str:
    return f"the {en_ordinal(match[1].lstrip('0'))} of {_MONTHS.get(match[2], match[2])}"


def _phone(match: Match) -> str:
    parts = re.findall(r"\d+", match.group())
    return ", ".join("eight hundred" if part == "800" else en_digits(part) for part in parts)


def _code(match: Match) -> str | None:
    if not before(match, _CODE) or after(match, _COUNTED_NEXT):
        return None
    said = en_digits(match[1])
    return said if match[1][0] == "0" else said.replace("zero", "oh")


def _fraction(match: Match) -> str:
    whole, over, under = match[1], int(match[2]), int(match[3])
    if (over, under) in {(24, 7), (9, 11)} or over == under or (over > 9 and under == over + 1):
        return f"{_number(match[2])} {_number(match[3])}"  # twenty four seven, fifty fifty
    if not 2 <= under <= 100 or over > under:
        return f"{_number(match[2])} over {_number(match[3])}"
    name = {2: "half", 4: "quarter"}.get(under) or en_ordinal(str(under))
    many = "halves" if name == "half" else name + "s"
    if whole:
        return f"{_number(whole)} and " + (f"a {name}" if over == 1 else f"{_number(match[2])} {many}")
    return f"one {name}" if over == 1 else f"{_number(match[2])} {many}"


def _fraction_of(match: Match) -> str | None:
    """1/2 gal: half a gallon; 3/4 tsp: three quarters of a teaspoon; 1 1/2 lbs: one and a half pounds."""
    whole, over, under, unit = match.groups()
    if not 2 <= int(under) <= 100 or int(over) >= int(under):
        return None
    if whole:
        return f"{_fraction(match)} {units.in_english(unit, one=False)}"
    one = units.in_english(unit, one=True)
    if under == "2":
        return f"half {'an' if one[0] in 'aeio' or one == 'hour' else 'a'} {one}"
    return f"{_fraction(match)} {one if over == '1' else 'of a ' + one}"


def _slash_days(match: Match) -> str | None:
    """3/14-3/21, 12/22-1/2: days, unless they may be fractions, which rise: 1/2-3/4 cup."""
    month, day, last_month, last_day = map(int, match.groups())
    mixed = match.string[match.start() - 2 : match.start()].strip().isdigit()
    rises = month * last_day < last_month * day and {day, last_day} <= _DENOMINATORS and last_month < last_day
    if mixed or (rises and not before(match, _DAY_BEFORE)) or after(match, _PART_OF):
        return None
    if (month, day) >= (last_month, last_day) and not (month >= 10 and last_month <= 3):
        return None
    first = f"{_MONTH_NAMES[month - 1]} {en_ordinal(str(day))}"
    return f"{first} to {_MONTH_NAMES[last_month - 1]} {en_ordinal(str(last_day))}"


def _month_slash_day(match: Match) -> str | None:
    """9/21 where it is told as a day, or is an unlikely fraction; not 9/11, which is a name."""
    month, day = int(match[1]), int(match[2])
    mixed = match.string[match.start() - 2 : match.start()].strip().isdigit()  # 1 1/2
    if mixed or after(match, _PART_OF) or (month, day) == (9, 11):
        return None
    if before(match, _ARTICLE) and after(match, _DAYS_EVENT):
        return f"{_MONTH_NAMES[month - 1]} {en_ordinal(str(day))}"
    likely = day in _DENOMINATORS and month < day
    if not before(match, _ON_DAY if day in _COMMON and month < day else _DAY_BEFORE) and (likely or month == day):
        return None
    if month >= day and not before(match, _DAY_BEFORE):
        return None
    return f"{_MONTH_NAMES[month - 1]} {en_ordinal(str(day))}"


_DENOMINATORS: Final = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 18, 20, 24, 25, 30})
_COMMON: Final = frozenset({2, 3, 4, 5, 8, 10})
_SIZE: Final = re.compile(r"(?<![A-Za-z])(?:X{0,4}S|M)$")
"""The lower end of sizes: S-XL."""
_PRESSED: Final = re.compile(r"(?i)\b(?:press|presses|pressing|hit|push|dial|tap|enter)(?: the)?\s$")
"""What is done to a key: press # to confirm."""
_DAYS_EVENT: Final = re.compile(
    r"\s(?:\w{2,12} )?(?:show|game|match|meeting|class|call|flight|event|episode|deadline|party|concert|release|shift|"
    r"appointment|service|session|webinar|exam|test|quiz|update|issue|invoice|order|edition|report|lecture|practice|"
    r"rehearsal|booking|reservation|payment|statement|email|newsletter|broadcast|stream|race|launch|outage|incident)s?\b"
)
"""What is held or sent on a day: the 7/18 show."""
_PART_OF: Final = re.compile(r"\s(?:of|full|as|the|cup|inch|mile)\b")
_ON_DAY: Final = re.compile(
    r"(?i)\b(?:on|until|till?|since|starting|expires?|born|from|due|(?:mon|tues|wednes|thurs|fri|satur|sun)day,?|"
    r"(?:due|ready|done|back|here|in|pay|register|reply|rsvp|apply|order|return|finished?|available|completed?|response|"
    r"submit|submitted|payment|off|me|home|out|answer|confirm|deliver|delivered|arrive|arrives) by)\s$"
)
"""After these even 3/4 is a day."""
_DAY_BEFORE: Final = re.compile(
    r"(?i)(?:\b(?:on|by|until|till?|since|starting|expires?|born|before|after|from|thru|through|due|is|ends|begins|starts|"
    r"opens|effective|dated?|to|for|(?:mon|tues|wednes|thurs|fri|satur|sun)day,?)\s"
    r"|\d/\d{1,2}(?:\s?[-–]\s?| to | and ))$"
)


def _measure(match: Match) -> str | None:
    low, high, unit, many, per = match.groups()
    alone = len(unit) == 1 and unit.isascii() and " " not in match.group()
    if alone and before(match, _NAME_BEFORE) and not (unit == "s" and len(low) > 1 and before(match, _WORD_BEFORE)):
        return None  # iPhone 5s, F-16s
    said = _number(low) + (f" to {_number(high)}" if high else "")
    adjective = (
        (before(match, _ARTICLE) and after(match, _THING_NEXT))
        or after(match, _PACK_NEXT)
        or (unit == "m" and after(match, _RACE_NEXT))
    )
    name = units.in_english(unit, one=adjective or (low == "1" and not high))
    if not per:
        return f"{said} {name}"
    return f"{said} {name} per {_number(many) + ' ' if many else ''}{units.in_english(per, one=not many)}"


def _year(match: Match) -> str | None:
    return None if after(match, _COUNTED_NEXT) else en_year(match.group())


def _years(match: Match) -> str | None:
    return f"{en_year(match[1])} to {en_year(match[2])}" if match[1] < match[2] else None


def _range(match: Match) -> str:
    if match[1] == match[2] == "50":
        return "fifty fifty"
    joint = "minus" if after(match, _EQUALS_NEXT) else "to"
    return f"{_number(match[1])} {joint} {_number(match[2])}"


def _hundreds(match: Match) -> str | None:
    """1500 tickets: fifteen hundred."""
    return None if before(match, _DATED) else f"{en_cardinal(match[1])} hundred"


def _version(numbers: str) -> str:
    """Version 1.12 is one point twelve, but 591.74 five ninety one point seven four."""
    first, *rest = numbers.split(".")
    long = len(first) == 3
    return " point ".join(
        [en_figures(first) if long else en_cardinal(first), *map(en_digits if long else en_cardinal, rest)]
    )


def _spelled(code: str) -> str:
    return " ".join(en_digits(char) if char.isdigit() else char for char in code)


def _roman(match: Match) -> str | None:
    value = roman(match[1])
    named = _CAPITALISED.search(match.string[max(0, match.start() - 24) : match.start()])
    if value is None or named is None:
        return None
    if named[1] in _NUMBERED:
        return en_cardinal(str(value))
    if len(match[1]) == 1:
        return None  # the pronoun, and letters
    if named[1] in _REIGNING:
        return "the " + en_ordinal(str(value))
    return en_cardinal(str(value)) if set(match[1]) <= set("IVX") else None


_CAPITALISED: Final = re.compile(r"([A-Z][A-Za-z]*)\s$")


def _height(match: Match) -> str:
    said = f"{en_cardinal(match[1])} {'foot' if match[1] == '1' else 'feet'}"
    return said + (f" {en_cardinal(match[2])} inches" if match[2] else "")


def _numbered(match: Match) -> str:
    """Room 305, Flight 1549, but port 8080, of which each figure counts."""
    if match[1].lower() == "port":
        return f"{match[1]} {en_digits(match[2]).replace('zero', 'oh')}"
    return f"{match[1]} {en_figures(match[2])}"


def _long_figures(digits: str) -> str:
    """i7-14700: fourteen seven hundred."""
    if len(digits) == 5 and digits.endswith("00") and digits[2] != "0":
        return f"{en_cardinal(digits[:2])} {en_cardinal(digits[2:])}"
    return en_figures(digits)


def _in_scale(match: Match) -> str:
    """2.1M children, 70B parameters."""
    return f"{_number(match[1])} {_SCALES[match[2]]}"


def _inches(match: Match) -> str | None:
    """A 6.7" screen; a quotation mark that closes is none."""
    opened = False
    for mark in _QUOTED.finditer(match.string, max(0, match.start() - _QUOTE), match.start()):
        opened = not opened if opened or not mark[1] else opened
    if opened:
        return None
    one = match[1] == "1" or after(match, _THING_NEXT)
    said = f"{_number(match[1])} {'inch' if one else 'inches'}"
    return said + (f" by {_number(match[2])} {'inch' if one else 'inches'}" if match[2] else "")


_QUOTED: Final = re.compile(r"(\d?)\"")
_QUOTE: Final = 200
"""Characters before a figure in which a quotation may have been opened."""


def _by(match: Match) -> str:
    """3840x2160, 4x6: by."""
    parts = re.split("[xX]", match.group())
    return " by ".join(
        en_figures(part) if part.isdigit() and len(part) == 4 and part[-2:] != "00" else _number(part) for part in parts
    )


def _power(match: Match) -> str:
    names = {"2": " squared", "3": " cubed"}
    return names.get(match[1]) or f" to the {en_ordinal(match[1])} power"


def _operator(match: Match) -> str | None:
    return _SYMBOLS[match[1]] if before(match, _OPERAND) else None


@cache
def _table() -> Table:
    ornament = "|".join(f"{re.escape(mark)}{{3,}}+" for mark in "=*_#+~^|<>@&%$/\\`-")
    day = "(3[01]|[12]\\d|0?[1-9])"
    nth = "(?:st|nd|rd|th)?"
    money = (
        rf"((?:US)?\$|[£€¥₩₹])\s?({_N})(?:[kKmMbB]?{_TO}[$£€¥]?({_N}))?"
        r"(?:\s?(thousand|million|billion|trillion)(?![a-z])|(bn|[kKmMbBT])(?![A-Za-z\d]))?"
    )
    local_phone = r"(?:\d{1,3}[- ])?(?:\(\d{3}\)\s?|\d{3}[- ])?\d{3}-\d{4}(?![\d-])"
    figures = [
        Rule("code", r"\d++(?:[-:./, +*=_~x][ ]?\d++){24,}+", _chain, next=" -.,/:a"),
        Rule("list", r"(?<![^\n])(\d{1,2})[.)](?!\d)\s++(?=\S)|(?<=[.!?:] )(\d{1,2})[.)]\s(?=[A-Z])",
             lambda m: en_cardinal(m[1] or m[2]) + ", ", next=".a"),
        # dates
        Rule("date", r"([12]\d{3})[-/.](1[0-2]|0?[1-9])[-/.](3[01]|[12]\d|0?[1-9])(?!\d|[-/.]\d)(?:T(?=\d\d:))?",
             _iso_date, next="-/."),
        Rule("date", rf"{day}/{day}/((?:19|20)\d\d)(?![\d/])", _slash_date, next="/"),
        Rule("date", rf"(1[0-2]|0?[1-9])/{day}{_TO}(1[0-2]|0?[1-9])/{day}(?![\d/]|\.\d)", _slash_days, next="/"),
        Rule("date", rf"{day}{nth}\s({_MONTH})(?![A-Za-z])\.?(?=\s\d{{4}}|[,.;!?]|\s[a-z]|$)", _day_month, next=" a"),
        Rule("date", rf"((?:1[1-9]|20)\d\d){_TO}((?:1[1-9]|20)\d\d)(?!\d|[-.,]\d)", _years, next=" -"),
        Rule("date", r"((?:19|20)\d\d)–(\d\d)(?![\d/-]|\.\d)",
             lambda m: f"{en_year(m[1])} to {en_cardinal(m[2]) if m[2][0] != '0' else en_year(m[1][:2] + m[2])}"
             if int(m[2]) > int(m[1][2:]) + 1 else None, next="-"),
        Rule("date", r"((?:19|20)\d\d)[-–/](\d\d)(?![\d/-]|\.\d)",
             lambda m: f"{en_year(m[1])} to {en_cardinal(m[2])}" if int(m[2]) == int(m[1][2:]) + 1 else None,
             next="-/"),
        # addresses, versions, telephone numbers and other codes
        Rule("address", r"((?:\d{1,3}\.){3}\d{1,3})(?::(\d{1,5}))?(?!\d|\.\d)",
             lambda m: " dot ".join(map(en_digits, m[1].split("."))) + (f" port {en_digits(m[2])}" if m[2] else ""),
             next="."),
        Rule("telephone", r"\d{3}\.\d{3}\.\d{4}(?![.\d])", _phone, next="."),
        Rule("version", r"(\d{1,9}(?:\.\d{1,9}){2,9})(?!\d|\.\d)", lambda m: _version(m[1]), next="."),
        Rule("telephone", rf"{local_phone}|\d{{3}}[- ]\d{{3}}[- ]\d{{4}}(?!\d)", _phone, next=" -"),
        Rule("telephone", r"\d{3} \d{3,4} \d{4}(?!\d|[.,]\d)", _phone, next=" "),
        Rule("telephone", r"(911|999|112|411)(?!\d|[.,]\d|%)",
             lambda m: en_digits(m[1]) if before(m, _CALLED) else None),
        Rule("code", r"802\.(\d{1,2})([a-z]{0,2})(?![A-Za-z\d])",
             lambda m: f"eight oh two dot {en_cardinal(m[1])} {' '.join(m[2].upper())}".rstrip(), next="."),
        Rule("time", r"(1[0-2]|[1-9]):([0-5]\d)([ap])(?![A-Za-z\d])",
             _half_day, next=":"),
        Rule("code", r"(40[13])\s?\(?([kb])\)?(?![A-Za-z\d])",
             lambda m: f"{en_figures(m[1])} {m[2].upper()}", next=" a"),
        Rule("code", SERIAL, lambda m: _spelled(m.group()), next="a"),
        Rule("code", r"0x([\dA-Fa-f]{1,16})(?![A-Za-z\d])",
             lambda m: "zero X " + " ".join(en_digits(c) if c.isdigit() else c.upper() for c in m[1]), next="a"),
        Rule("code", r"(\d{3,}+)(?![.,:]\d|%)", _code),
        Rule("money", rf"({_N})\s?¢",
             lambda m: _number(m[1]) + (" cent" if m[1] == "1" else " cents"), next=" .,a"),
        # the clock
        Rule("time", r"(1[0-2]|[1-9])(?::([0-5]\d))?([ap])(?=\s?[-–]\s?\d{1,2}(?::\d\d)?p?m?(?![a-z\d])"
             r"|(?<=[ap][-–]\d[ap])(?![a-z])|(?<=[ap][-–]\d\d[ap])(?![a-z]))", _half_day, next=":a"),
        Rule("time", r"(?:(\d{1,2}):)?([0-5]?\d):([0-5]\d)\.(\d{1,3})(?![\d:]|\.\d)", _race, next=":"),
        Rule("time", r"(\d{1,3})([dhm])\s?(\d{1,2}(?:\.\d{1,3}(?=s))?)([hms])(?:\s?(\d{1,2})(s))?(?![A-Za-z\d])",
             _duration, next="a"),
        Rule("time", r"(?:(\d{1,2}):)?([0-5]?\d):([0-5]\d)(?![\d:]|\s?[AaPp]\.?[Mm](?![A-Za-z]))",
             lambda m: _lasting(m) if before(m, _LASTING) or (m[1] and before(m, _IN)) else None, next=":"),
        Rule("time", r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])(?:\s?([AaPp])\.?[Mm](?![A-Za-z]))?",
             _clock, next=":"),
        Rule("time", r"(1[0-2]|[1-9])\s?([AaPp])\.?[Mm](?![A-Za-z])",
             lambda m: f"{en_cardinal(m[1])} {m[2].upper()}M", next=" a"),
        # tens of years, ordinals, fractions
        Rule("decade", r"((?:1[1-9]|20)\d0)'?s(?![A-Za-z\d])", lambda m: en_plural(en_year(m[1])), next="a"),
        Rule("decade", r"([2-9]0)'?s(?![A-Za-z\d])",
             lambda m: en_plural(en_cardinal(m[1])) if before(m, _DECADE) else None, next="a"),
        Rule("ordinal", r"(\d{1,3})(?:st|nd|rd|th)\s(min|hr|yr|wk|Fl)(?![A-Za-z])\.?(?!\s[A-Z])",
             lambda m: f"{en_ordinal(m[1])} {_ORDERED[m[2]]}", next="a"),
        Rule("ordinal", r"(\d{1,15})(?:st|nd|rd|th|ST|ND|RD|TH)(?![A-Za-z\d])", lambda m: en_ordinal(m[1]), next="a"),
        Rule("date", r"(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])/(\d\d)(?![\d/]|\.\d)",
             lambda m: _said_date(int(m[1]), int(m[2]), ("20" if int(m[3]) < 50 else "19") + m[3]), next="/"),
        Rule("date", r"(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?![\d/]|\.\d)", _month_slash_day, next="/"),
        Rule("fraction", rf"(?:(\d{{1,4}})[ -])?(\d{{1,2}})/(\d{{1,2}})[ -]?({_UNIT})(?!/){_DOT}",
             _fraction_of, next=" -/"),
        Rule("fraction", r"(?:(\d{1,4})[ -])?(\d{1,2})/(\d{1,2})\"(?!\w)",
             lambda m: _fraction(m) + (" inch" if after(m, _THING_NEXT) or not m[1] else " inches"), next=" -/"),
        Rule("fraction", r"(?:(\d{1,4})[ -])?(\d{1,3})/(\d{1,3})(?![\d/]|\.\d)", _fraction, next=" -/"),
        # shares and measures
        Rule("percent", rf"({_N})%?{_TO}({_N})%",
             lambda m: f"{_number(m[1])} to {_number(m[2])} percent", next=" -.,a"),
        Rule("percent", rf"({_N})\s?%", lambda m: _number(m[1]) + " percent", next=" .,a"),
        Rule("scale", rf"({_N})(M(?=\+?\s[a-z]{{3}}|[,;)]|\.(?!\w)|\s*$)|[BT](?=\+?\s[a-z]{{2,20}}s\b))",
             _in_scale, next=".,a"),
        Rule("scale", rf"({_N})(m)(?=\s(?:{_MANY})\b)", _in_scale, next=".,a"),
        Rule("unit", rf"({_N})\"(?:\s?[xX×]\s?({_N})\")?(?!\w)", _inches, next=" .,a"),
        Rule("height", r"(\d{1,2})'(?=\s[a-z]{3})",
             lambda m: en_cardinal(m[1]) + " foot" if before(m, _ARTICLE) else None, next="a"),
        Rule("height", r"(\d{1,2})'(?=\s(?:tall|long|wide|high|deep|by|x)\b)",
             lambda m: en_cardinal(m[1]) + (" foot" if m[1] == "1" else " feet"), next="a"),
        Rule("money", r"(\d{1,2})p(?=\s(?:off|each|per|a)\b|\s?/)", lambda m: en_cardinal(m[1]) + " pence", next="a"),
        Rule("height", r"(\d{1,2})'\s?(?:(\d{1,2})(?:\"|''))", _height, next="a"),
        Rule("plural", r"(7\d7)s(?![A-Za-z\d])", lambda m: en_plural(en_figures(m[1])), next="a"),
        Rule("unit", rf"({_N})-?\s?bps(?![A-Za-z/])",
             lambda m: _number(m[1]) + " basis points" if before(m, _MOVED) or after(m, _MOVED_NEXT) else None,
             next=" -.,a"),
        Rule("unit", rf"({_N})(?:{_TO}({_N}))?\s?({_UNIT})(?:/(?:({_N})\s?)?({_UNIT}))?{_DOT}", _measure, next=" -.,a"),
        Rule("unit", rf"({_N})-({_UNIT}){_DOT}",
             lambda m: f"{_number(m[1])} {units.in_english(m[2], one=True)}", next="-.,"),
        Rule("unit", rf"({_N})\s?in\.(?=[\s,;)]|$)", lambda m: _number(m[1]) + (" inch" if m[1] == "1" else " inches"),
             next=" .,a"),
        Rule("range", rf"({_N}){_TO}({_N})(?!\d|[-–]\d)", _range, next=" -.,"),
        Rule("ratio", rf"({_N})(?:\s?:\s?{_N}){{1,7}}",
             lambda m: " to ".join(map(_number, re.split(r"\s?:\s?", m.group()))), next=" .,:"),
        Rule("times", rf"({_N})x(?=\s[a-z]{{2}}|[,;:!?)]|\.(?!\w)|\s*$|\s[/@(–—-])",
             lambda m: None if before(m, _ALGEBRA) else _number(m[1]) + " time" + "s" * (m[1] != "1"), next=".,a"),
        Rule("race", r"(\d)[xX×]\s?(\d{2,4})\s?m(?=\s(?:relay|medley|freestyle|free|mixed|women|men|team|final))",
             lambda m: f"{en_cardinal(m[1])} by {en_cardinal(m[2])} meter", next="a"),
        Rule("size", r"\d{1,5}(?:\.\d+)?(?:[xX]\d{1,5}(?:\.\d+)?){1,2}(?![\dA-Za-z]|\s?=)", _by, next=".a"),
        Rule("sum", rf"({_N})\s?[xX×*]\s?(?={_N})", lambda m: _number(m[1]) + " times ", next=" .,a"),
        # numbers
        Rule("code", r"([1-5]\d\d)(?=\s(?:error|page|response|status)(?!s))", lambda m: en_figures(m[1]), next=" "),
        Rule("plural", r"(\d?[4-9])(ers?)(?![A-Za-z\d])",
             lambda m: en_cardinal(m[1]).removesuffix("e") + m[2], next="a"),
        Rule("plural", r"(\d++)'?s(?![A-Za-z\d])", lambda m: en_plural(en_figures(m[1])), next="a"),
        Rule("hundreds", r"(1[1-9])00(?=\s[a-z]{3})(?!\s(?:and|was|the|when|with|for|there|from|but|after|before))",
             _hundreds, next=" "),
        Rule("year", r"(?:1[1-9]|20)\d{2}(?!\d|[.,]\d|%|[A-Za-z])", _year),
        Rule("year", r"0(\d)(?<='0\d)(?!\d)", lambda m: "oh " + en_cardinal(m[1])),
        Rule("year", r"(10\d\d)(?!\d|[.,]\d|%)", lambda m: en_year(m[1]) if before(m, _LONG_AGO) else None),
        Rule("code", r"(10|14|21)([48]0|60)(?=[pP](?![a-z]))",
             lambda m: f"{en_cardinal(m[1])} {en_cardinal(m[2])}", next="a"),
        Rule("number", _N, lambda m: _number(m.group())),
    ]  # fmt: skip
    signs = [
        Rule("ornament", rf"{ornament}|\*\*", lambda m: m.group()),
        Rule("telephone", rf"\+?{local_phone}|\+\d{{1,3}}(?:[- ]\d{{2,4}}){{2,4}}(?!\d)", _phone),
        Rule("list", r"(?<![^\n])\((\d{1,2})[)]\s++(?=\S)", lambda m: en_cardinal(m[1]) + ", "),
        Rule("money", money, _money),
        Rule("decade", r"'([2-9]0)s(?![A-Za-z\d])", lambda m: en_plural(en_cardinal(m[1]))),
        Rule("number", r"\.(?<![A-Za-z\d]\.)(\d++)", lambda m: "point " + en_digits(m[1])),
        Rule("minus", r"-(?=[\d$£€])(?<![\dA-Za-z)%°]-)|-(?=[\dA-Za-z\(])(?<=\^\d-)", lambda m: " minus "),
        Rule("minus", r"[-–]\s(?=\d|[A-Za-z](?![A-Za-z]))", lambda m: "minus " if before(m, _VARIABLE) else None),
        Rule("range", r"[-–~](?=\d)", lambda m: " to " if before(m, _RANGED) else None),
        Rule("range", r"–(?=[A-Z])", lambda m: " to " if before(m, _SMALL_LETTER) else None),
        Rule("range", rf"[-–]\s?(?=(?:{_MONTH})\.?\s\d)", lambda m: " to " if before(m, _DAY_END) else None),
        Rule("minus", r"-(?=\s(?:in|on|for|and|or|average|to)\b|[,.;)]|\s*$)(?<=[\s(/][A-F]-)", lambda m: " minus"),
        Rule("sign", r"\+(?=\d)(?<![\dA-Za-z)]\+)", lambda m: "plus "),
        Rule("power", r"\^(\d{1,3})", _power),
        Rule("path", r">\s(?=[A-Z][a-z])(?<=[a-z]\s>\s)", lambda m: ", "),
        Rule("key", r"[#*](?![A-Za-z\d#*])",
             lambda m: {"#": "pound", "*": "star"}[m.group()] if before(m, _PRESSED) else None),
        Rule("sign", r"([=<>×÷≈≠≤≥±*+])\s?(?=[-A-Za-z\d\(])", _operator),
        Rule("code", r"#(\d{5,12})(?![\d,.]\d|\d)", lambda m: "number " + en_digits(m[1]).replace("zero", "oh")),
        Rule("code", r"#(\d{4})(?![\d,.]\d|\d)", lambda m: "number " + en_figures(m[1])),
        Rule("code", r"#(\d{2,8}(?:-\d{2,8}){1,3})(?![\d-])",
             lambda m: "number " + ", ".join(map(en_digits, m[1].split("-"))).replace("zero", "oh")),
        Rule("code", r"#(?=[A-Z]{1,5}-?\d)", lambda m: "number "),
        Rule("sign", r"#(?=\d)", lambda m: "number "),
        Rule("section", r"§{1,2}\s?(?=\d)", lambda m: "section "),
        Rule("sign", r"#(?=[A-Za-z])", lambda m: "hashtag "),
        Rule("sign", r"#(?=\s(?:is|was|to|and|or)\b|:)", lambda m: "number"),
        Rule("sign", r"@(?=[A-Za-z]|\s[A-Za-z\d$£€])", lambda m: " at "),
        Rule("sign", r"[&×÷±≈≠≤≥‰√∞∶¥€£$%=¢°₩₹₽μΩ→]", lambda m: _SYMBOLS[m.group()]),
        Rule("per", r"/s(?![A-Za-z\d])(?<=[a-z]{2}/s)", lambda m: " per second"),
        Rule("per", r"/(ea|each|bbl|mo|yr|hr|wk|sec|lb|oz|gal|pp|sq\.? ?ft|sqft)(?![A-Za-z])(?:\.(?!\s[A-Z]|\s*$))?",
             lambda m: _PER[m[1].replace(".", "")] if before(m, _PRICED) else None),
        Rule("per", rf"/({_UNIT})",
             lambda m: " per " + units.in_english(m[1], one=True) if before(m, _PRICED) else None),
        Rule("per", r"/(?=[A-Za-z]{2,}|\d)", lambda m: " per " if before(m, _PRICED) else None),
        Rule("per", r"/(?=(?:second|minute|hour|day|night|week|month|year|person|kg|lb)(?![a-z]))", lambda m: " per "),
        Rule("sign", r"(?<=[A-Za-z\d%])\+", lambda m: " plus "),
        Rule("range", r"[-~–—](?=X{0,4}L(?![A-Za-z\d])|M(?![A-Za-z\d]))",
             lambda m: " to " if before(m, _SIZE) else None),
        Rule("joint", r"[-_/](?=[A-Za-z\d])(?<=[A-Za-z\d][-_/])", lambda m: " "),
        Rule("file name", rf"\.(?=(?:{FILES})(?![A-Za-z\d]))(?<=[\w)]\.)", lambda m: " dot "),
        Rule("file name", r"\.(?=[a-z\d])(?<=[A-Za-z\d]\.)", lambda m: " dot "),
    ]  # fmt: skip
    letters = [
        Rule("date", rf"({_MONTH})\.?\s{day}{nth}(?:{_TO}{day}{nth})?(?![\d:]|\.\d|[A-Za-z%])", _month_day),
        Rule("abbreviation", rf"({'|'.join(_MONTHS)})\.(?=\s)", lambda m: _MONTHS[m[1]] if m[1] != "Mar" else None),
        Rule("money", money, _money),
        Rule("serial", r"([A-Z])2([A-Z])(?![A-Za-z\d])", lambda m: f"{m[1]} two {m[2]}" if m[1] != "H" else None),
        Rule("version", r"[vV]\.?(\d{1,9}(?:\.\d{1,9}){0,9})(?![A-Za-z\d])", lambda m: "V " + _version(m[1])),
        Rule("abbreviation", r"[Nn]o\.\s?(?=\d)", lambda m: "number "),
        Rule("code", r"CVE-(\d{4})-(\d{4,6})(?!\d)", lambda m: f"CVE {en_year(m[1])} {en_digits(m[2])}"),
        Rule("serial", r"([A-Z])\.(\d{3})(?!\d|\.\d)", lambda m: f"{m[1]} {en_figures(m[2])}"),
        Rule("range", r"(X{0,4}[SL]|M)\s?[-~–—]\s?(?=\dX{1,2}L(?![A-Za-z\d]))", lambda m: f"{m[1]} to "),
        Rule("code", SERIAL, lambda m: _spelled(m.group())),
        Rule("serial", r"([A-Za-z]++)(\d{1,2})-(\d{3,5})(?!\d|[.,]\d)",
             lambda m: f"{m[1]} {en_cardinal(m[2])} {_long_figures(m[3])}"),
        Rule("version", r"(Python|Ubuntu|Django|Xcode|Go|PHP)\s(\d{1,2})\.(\d\d)(?!\d|\.\d|%)",
             lambda m: f"{m[1]} {en_cardinal(m[2])} {'point ' if m[3][0] != '0' else ''}{en_last_two(m[3])}"),
        Rule("abbreviation", r"ca?\.\s?(?=\d{3,4}(?!\d))", lambda m: "circa "),
        Rule("date", r"FY\s?'?(\d{4}|\d\d)(?!\d|[.,]\d)(?:([-/])(\d\d)(?!\d))?",
             lambda m: "fiscal year " + (en_year(m[1]) if len(m[1]) == 4 else en_cardinal(m[1]))
             + (" to " + en_cardinal(m[3]) if m[3] else "")),
        Rule("abbreviation", r"pp?\.\s?(?=\d)", lambda m: "pages " if m.group().startswith("pp") else "page "),
        Rule("abbreviation", r"vs(?![A-Za-z])", lambda m: "versus"),
        Rule("sharp", r"([CFJ])#", lambda m: m[1] + " sharp"),
        Rule("sign", r"[Cc]\+\+", lambda m: "C plus plus"),
        Rule("code", rf"({_PLACES})\s(\d{{3,4}})(?!\d|[.,]\d|s(?![a-z]))", _numbered),
        Rule("code", rf"(?:({_PLACES})\s)?({_AIRLINES})\s?(\d{{3,4}})(?!\d|[.,:/]\d|\s?[%$]|\s(?:million|billion))",
             lambda m: " ".join(filter(None, (m[1], m[2], en_figures(m[3]))))),
        Rule("code", r"([Ff]light)\s([A-Z\d]{2})\s?(\d{1,4})(?!\d|[.,:]\d)",
             lambda m: f"{m[1]} {m[2]} {en_figures(m[3])}" if not m[2].isdigit() else None),
        Rule("code", rf"({_PLACES})\s(\d{{3}})s(?![a-z])", lambda m: f"{m[1]} {en_plural(en_figures(m[2]))}"),
        Rule("serial", r"([A-Za-z]++)[-_]?(\d++)(?!\.\d|'?s(?![A-Za-z])|st|nd|rd|th)",
             lambda m: f"{m[1]} {en_figures(m[2])}"),
        Rule("roman numeral", r"([IVXLCDM]{1,9})(?![A-Za-z'])", _roman),
    ]  # fmt: skip
    words = (
        rf"(?:{_MONTH})(?=\.?\s\d|\.)|[A-Za-z]++(?=[-_]?\d|\$\d|\.\s?\d|[+#]|\s\d{{3}})"
        r"|(?:Python|Ubuntu|Django|Xcode|Go|PHP)(?=\s\d)|[IVXLCDM]++(?![A-Za-z'])|vs(?![A-Za-z])"
    )
    return Table(
        figures,
        (rf"(?<![A-Za-z\d])(?:{words})", letters),
        (r"[(.\-~–—+^=<>×÷≈≠≤≥±*°¥€£$%‰√∞∶&@/_#|₩₹₽¢`\\μΩ→§]|'(?=\d0s)", signs),
    )


_AIRLINES: Final = "UA|AA|DL|WN|BA|AF|LH|SQ|CX|MU|CA|CZ|HU|NH|JL|KE|EK|QR|TK|AC|QF|VS"
"""Airlines of whose flights the figures are read in pairs."""
_PLACES: Final = (
    "[Rr]oom|[Ss]uite|[Aa]partment|[Bb]uilding|[Bb]ox|[Rr]oute|[Tt]rain|[Uu]nit|Form|[Ff]light|[Bb]us|"
    "[Gg]ate|[Hh]ighway|[Ii]nterstate|Boeing|Airbus|RTX|GTX|RX|HTTP|RFC|Resolution|Error|[Pp]ort"
)
"""After these a number of three or four figures is a name."""
