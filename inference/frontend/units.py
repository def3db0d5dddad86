"""Units of measure: how they are written, and said in Mandarin and English. Facts; no code but looking up."""

from __future__ import annotations

import re
from typing import Final

UNITS: Final = {
    # written: (Mandarin, English singular); "" where the language spells the letters or does not know it
    "km": ("公里", "kilometer"), "m": ("米", "meter"), "dm": ("分米", "decimeter"), "cm": ("厘米", "centimeter"),
    "mm": ("毫米", "millimeter"), "μm": ("微米", "micrometer"), "nm": ("纳米", "nanometer"), "ft": ("英尺", "foot"),
    "mi": ("", "mile"), "yd": ("码", "yard"), "sq ft": ("平方英尺", "square foot"), "ha": ("公顷", ""),
    "kg": ("公斤", "kilogram"), "g": ("克", "gram"), "mg": ("毫克", "milligram"), "μg": ("微克", "microgram"),
    "t": ("吨", ""), "lb": ("磅", "pound"), "lbs": ("磅", "pound"), "oz": ("盎司", "ounce"),
    "L": ("升", "liter"), "l": ("升", "liter"), "dL": ("分升", "deciliter"), "ml": ("毫升", "milliliter"),
    "mL": ("毫升", "milliliter"), "μL": ("微升", "microliter"),
    "tbsp": ("", "tablespoon"), "tsp": ("", "teaspoon"), "Tbsp": ("", "tablespoon"),
    "gal": ("加仑", "gallon"), "gals": ("加仑", "gallon"),
    "qt": ("", "quart"), "qts": ("", "quart"), "ac": ("", "acre"), "pk": ("", "pack"),
    "pt": ("", "pint"), "fl oz": ("", "fluid ounce"), "pcs": ("", "piece"), "pkg": ("", "package"),
    "pkgs": ("", "package"), "ct": ("", "count"), "doz": ("", "dozen"), "hp": ("马力", "horsepower"),
    "mpg": ("", "mile per gallon"), "sqft": ("平方英尺", "square foot"), "sq mi": ("平方英里", "square mile"),
    "yds": ("码", "yard"), "pts": ("", "point"), "reps": ("", "rep"), "GiB": ("", "gibibyte"), "MiB": ("", "mebibyte"),
    "KiB": ("", "kibibyte"), "kB": ("", "kilobyte"), "Gb": ("", "gigabit"), "Mb": ("", "megabit"),
    "Tbps": ("太比特每秒", "terabit per second"), "MP": ("", "megapixel"),
    "h": ("小时", "hour"), "hr": ("小时", "hour"), "hrs": ("小时", "hour"), "min": ("分钟", "minute"),
    "mins": ("分钟", "minute"), "s": ("秒", "second"), "sec": ("秒", "second"), "secs": ("秒", "second"),
    "yr": ("", "year"), "yrs": ("", "year"), "mo": ("", "month"), "mos": ("", "month"), "wk": ("", "week"),
    "wks": ("", "week"), "ms": ("毫秒", "millisecond"),
    "μs": ("微秒", "microsecond"), "ns": ("纳秒", "nanosecond"),
    "Hz": ("赫兹", "hertz"), "kHz": ("千赫", "kilohertz"), "MHz": ("兆赫", "megahertz"), "GHz": ("吉赫", "gigahertz"),
    "W": ("瓦", "watt"), "kW": ("千瓦", "kilowatt"), "MW": ("兆瓦", "megawatt"), "GW": ("吉瓦", "gigawatt"),
    "Wh": ("瓦时", "watt hour"), "kWh": ("千瓦时", "kilowatt hour"), "kwh": ("千瓦时", "kilowatt hour"),
    "V": ("伏", "volt"), "kV": ("千伏", "kilovolt"), "mV": ("毫伏", "millivolt"), "mA": ("毫安", "milliamp"),
    "Ah": ("安时", "amp hour"), "mAh": ("毫安时", "milliamp hour"), "Ω": ("欧姆", "ohm"), "kΩ": ("千欧", "kilohm"),
    "J": ("焦", "joule"), "kJ": ("千焦", "kilojoule"), "cal": ("卡", "calorie"), "kcal": ("千卡", "kilocalorie"),
    "Pa": ("帕", "pascal"), "hPa": ("百帕", "hectopascal"), "kPa": ("千帕", "kilopascal"),
    "MPa": ("兆帕", "megapascal"), "GPa": ("吉帕", "gigapascal"), "mmHg": ("毫米汞柱", "millimeter of mercury"),
    "N": ("牛", ""), "kN": ("千牛", "kilonewton"), "N·m": ("牛米", "newton meter"), "A": ("安", ""),
    "kW·h": ("千瓦时", "kilowatt hour"), "MWh": ("兆瓦时", "megawatt hour"), "GWh": ("吉瓦时", "gigawatt hour"),
    "TWh": ("太瓦时", "terawatt hour"), "VA": ("伏安", ""), "kVA": ("千伏安", "kilovolt amp"),
    "μA": ("微安", "microamp"), "Bq": ("贝克勒尔", "becquerel"), "mSv": ("毫西弗", "millisievert"),
    "cd": ("坎德拉", ""), "nit": ("尼特", "nit"), "IU": ("国际单位", "I U"), "r": ("转", ""),
    "THz": ("太赫", "terahertz"), "ng": ("纳克", "nanogram"), "cc": ("毫升", ""), "CC": ("毫升", ""),
    "PB": ("", "petabyte"),
    "mol": ("摩尔", "mole"), "mmol": ("毫摩尔", "millimole"), "μmol": ("微摩尔", "micromole"),
    "dB": ("分贝", "decibel"), "lx": ("勒克斯", "lux"), "lm": ("流明", "lumen"), "px": ("像素", "pixel"),
    "rpm": ("转每分钟", "R P M"),
    "fps": ("帧每秒", "frame per second"), "mph": ("英里每小时", "mile per hour"),
    "kph": ("公里每小时", "kilometer per hour"), "bp": ("个基点", "basis point"), "pct": ("个百分点", ""),
    "pp": ("个百分点", ""),
    "bps": ("比特每秒", "bit per second"),
    "kbps": ("千比特每秒", "kilobit per second"), "Kbps": ("千比特每秒", "kilobit per second"),
    "Mbps": ("兆比特每秒", "megabit per second"), "Gbps": ("吉比特每秒", "gigabit per second"),
    "M": ("兆", ""), "KB": ("", "kilobyte"), "MB": ("", "megabyte"), "GB": ("", "gigabyte"), "TB": ("", "terabyte"),
    "°C": ("摄氏度", "degree Celsius"), "°F": ("华氏度", "degree Fahrenheit"), "°": ("度", "degree"),
}  # fmt: skip
_POWERED: Final = "km dm cm mm μm nm ft mi yd m s".split()
_PLURALS: Final = {
    "foot": "feet", "square foot": "square feet", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz",
    "gigahertz": "gigahertz", "terahertz": "terahertz", "lux": "lux", "degree Celsius": "degrees Celsius",
    "degree Fahrenheit": "degrees Fahrenheit", "horsepower": "horsepower", "count": "count", "dozen": "dozen",
}  # fmt: skip


def pattern(language: int) -> str:
    """The inside of a group that matches a unit of the language (0 Mandarin, 1 English), squared or cubed too."""
    known = sorted((unit for unit, names in UNITS.items() if names[language]), key=len, reverse=True)
    powers = "|".join(_POWERED)
    plain = "|".join(map(re.escape, known))
    return rf"(?=[A-Za-zμΩ°])(?:(?:{powers})\^?[23](?![A-Za-z\d])|(?:{plain})(?![A-Za-z\d^]))"


def in_mandarin(unit: str) -> str:
    """`km` → 公里, `m^2` → 平方米, `km^2` → 平方公里."""
    base, power = _parts(unit)
    return {"2": "平方", "3": "立方", "": ""}[power] + UNITS[base][0]


def in_english(unit: str, *, one: bool) -> str:
    """`km` → kilometers, `m^2` → square meters, `ft` → feet."""
    base, power = _parts(unit)
    name = UNITS[base][1]
    if not one:
        first, joint, rest = re.split("( per | of |$)", name, maxsplit=1)
        name = _PLURALS.get(name) or first + "s" * (first != "R P M") + joint + rest
    return {"2": "square ", "3": "cubic ", "": ""}[power] + name


def _parts(unit: str) -> tuple[str, str]:
    if unit[-1] in "23":
        return unit[:-1].rstrip("^"), unit[-1]
    return unit, ""
