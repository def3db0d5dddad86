"""Abbreviations and initials in English text, whose dots end no sentence: Dr. Li, Baker St., U.S."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.rules import Match, after, before, note
from inference.frontend.words import Change

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
