"""Signs in Chinese text: operators, keys, steps of a menu, what joins names, and what is no more than ornament."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.mandarin_figures.codes import component, spelled
from inference.frontend.numerals import zh_cardinal, zh_digits
from inference.frontend.rules import Match, Rule, before
from inference.frontend.segment import HANZI
from inference.frontend.written import FILES, ORNAMENT, N

_OPERAND: Final = re.compile(r"[\w)）%]\s?$")
_WRITTEN: Final = re.compile("(?:[用是成写为和或改]|运算符)[了个]?\\s?[\"“‘'「]?$")
"""After these a sign is spoken of: 用>=而不是>."""
_SYMBOLS: Final = {
    "%": "百分号", "‰": "千分号", "+": "加", "=": "等于", "×": "乘", "÷": "除以", "±": "正负", "≈": "约等于",
    "≠": "不等于", "≤": "小于等于", "≥": "大于等于", "<": "小于", ">": "大于", "°": "度", "¥": "元", "$": "美元",
    "€": "欧元", "£": "英镑", "¢": "美分", "*": "乘", "√": "根号", "∞": "无穷", "→": "到", "∶": "比", "μ": " mu ",
    "Ω": "欧姆", "₩": "韩元", "₹": "卢比", "₽": "卢布",
}  # fmt: skip
_NAMED: Final = {
    "*": "星号", "#": "井号", "?": "问号", "!": "感叹号", "&": " and ", "@": "艾特", "%": "百分号", "~": "波浪号",
    "/": "斜杠", "\\": "反斜杠", "|": "竖线", "_": "下划线", "+": "加号", "=": "等号", "^": "尖号", "<": "小于号",
    ">": "大于号", "√": "对勾", "×": "叉", "-": "减号",
}  # fmt: skip
"""What signs are called where a sign itself is spoken of: 按#号键, 不能含有“*”."""
_QUOTE: Final = re.compile("[“\"‘'「]$")
_MARKED: Final = re.compile("[带标有注按加用含以和与或、除拨入摁打了“]$")
_DIALLED: Final = re.compile('(?:拨[打号]?|[键输]入|拨号键?|打)[“"]?\\s?$')
"""What is done to a telephone's own code: 拨*#06#."""
_KEY: Final = re.compile('(?:[按摁敲]|[键输]入|以|[后再]加)(?:一?[下个]|住|了)?[“"]?\\s?$')
"""What is done to a key: 按#就行."""
_SECRET: Final = re.compile(
    "(?:(?:密码|口令|门禁|验证码)(?:还|就|都|改成了?|换成了?)?[是为：:输按]?|[按摁拨]|输入)\\s?$"
)
"""After these a sign is a part of the code: 门禁密码是#0316."""
_TICKED: Final = re.compile("[打画划][了上个一“]{0,2}$")
_SAID_BEFORE: Final = re.compile(rf"[{HANZI}\dA-Za-z”》」）)%]\s?$")
_EQUATION: Final = re.compile(rf"[=＝等于][{HANZI}+×÷（）()\-]{{1,20}}$")
_MENU: Final = re.compile(
    rf"(?:[<>]\s?[{HANZI}]{{1,10}}|设置|首页|主页|菜单|中心|管理|系统|工具|文件|编辑|视图|帮助|选项|我的|更多|通用|分类|专区|频道|页面?|装|类|馆|区|栏|路径[:：].*)\s?$"
)
"""Steps of a path, whose > is no comparison: 设置>通用, 首页>女装."""


def _dialled(match: Match) -> str:
    """What is dialled for a telephone's own services: *#06#."""
    return "".join(_NAMED.get(char) or zh_digits(char, "幺") for char in match.group())


def _operator(match: Match) -> str | None:
    """A sign between operands: x=3, a<b."""
    return _SYMBOLS[match[1]] if before(match, _OPERAND) else None


ORNAMENTS: Final = (
    Rule("ornament", rf"{ORNAMENT}|\*\*", lambda m: m.group()),
    Rule("placeholder", r"×{2,5}(?!\s?\d)", lambda m: "某" * len(m.group())),
)  # fmt: skip
SIGNS: Final = (
    Rule("sign", rf"\+(?={N}\s?[%‰])(?<![A-Za-z\d)%]\+)", lambda m: "正"),
    Rule("sign", r"#(?=[楼栋幢线库门厂炉机组])(?<=\d#)", lambda m: "号"),
    Rule("section", r"§{1,2}\s?(\d{1,4}(?:\.\d{1,3}){0,3})([条款]?)节?",
         lambda m: f"第{'点'.join(map(component, m[1].split('.')))}{m[2] or '节'}"),
    Rule("key", r"[*#?!&@%~/\\|_+=^<>√×-](?=[”\"’'」](?!\d))",
         lambda m: _NAMED[m.group()] if before(m, _QUOTE) else None),
    Rule("key", r"[*#?!@&](?=号(?!楼|院|线|门|店|机))", lambda m: _NAMED[m.group()].removesuffix("号")),
    Rule("key", r"[*#](?=键)", lambda m: _NAMED[m.group()]),
    Rule("key", r"\*(?<![A-Za-z\d*#]\*)#?\d{2,6}#", lambda m: _dialled(m) if before(m, _DIALLED) else None),
    Rule("key", r"[*#](?!\s?[A-Za-z\d*#])", lambda m: _NAMED[m.group()] if before(m, _KEY) else None),
    Rule("key", r"[*#](?=[的为项处者标表代是结开重确返])(?![*#][^\n*#]{1,40}[*#])",
         lambda m: _NAMED[m.group()] if before(m, _MARKED) else None),
    Rule("key", r"√|×(?!\s?[\dA-Za-z])",
         lambda m: {"√": "勾", "×": "叉"}[m.group()] if before(m, _TICKED) else None),
    Rule("key", r"√(?!\s?[\dA-Za-z(（])", lambda m: "对勾"),
    Rule("code", r"#(?=\d*[A-Fa-f])((?:[\dA-F]{3}|[\da-f]{3}){1,2})(?![\dA-Za-z])",
         lambda m: f"井号{spelled(m[1])}"),
    Rule("key", r"[#*]\d{2,8}+[#*]?(?![A-Za-z\d])", lambda m: _dialled(m) if before(m, _SECRET) else None),
    Rule("sign", r"#(\d{1,9})(?!\d)",
         lambda m: zh_digits(m[1]) if len(m[1]) > 2 or m[1][0] == "0" else zh_cardinal(m[1])),
    Rule("sign", r"==(?=\s?[A-Za-z\d])", lambda m: "等于"),
    Rule("sign", r"([<>])=?(?=\s?[\"”’'」、，。；！？的号]|\s?$|而|还)",
         lambda m: _SYMBOLS[{"<": "≤", ">": "≥"}[m[1]] if m.group()[-1] == "=" else m[1]]
         if before(m, _WRITTEN) else None),
    Rule("sign", r"([<>])=(?=\s?-?[\d.])", lambda m: _SYMBOLS[{"<": "≤", ">": "≥"}[m[1]]]),
    Rule("sign", r"(?<![\w<>=/\"'-])([<>])(?=\d)(?![^<>\n]{0,40}>)", lambda m: _SYMBOLS[m[1]]),
    Rule("sign", r"([=<>×÷≈≠≤≥±*+])\s?(?=[-A-Za-z\d\(（])", _operator),
    Rule("sign", rf"\+(?=\s?[{HANZI}])(?<=[扣选买送][1-9]\+)", lambda m: "加"),
    Rule("sign", rf"\+(?=\s?[{HANZI}][^，。；！？\n]{{0,40}}=\s?\d)", lambda m: "加"),  # 房租2800+水电150=2950
    Rule("sign", rf"\+(?=\s?[{HANZI}])(?<=[\dwkW万千百亿]\+)", lambda m: "多"),
    Rule("sign", r"\+(?=\d)|(?<=[A-Za-z\d百千万亿])\+", lambda m: "加"),
    Rule("sign", rf"\+\s?(?=[{HANZI}A-Za-z“《「（(])", lambda m: "加" if before(m, _SAID_BEFORE) else None),
    Rule("sign", rf"[-–−]\s?(?=[{HANZI}（(])", lambda m: "减" if before(m, _EQUATION) else None),
    Rule("sign", rf"<\s?(?=[{HANZI}])(?![^<>\n]{{0,40}}>)", lambda m: "小于" if before(m, _SAID_BEFORE) else None),
    Rule("sign", rf">\s?(?=[{HANZI}])(?![^<>\n]{{0,20}}>)",
         lambda m: "大于" if before(m, _SAID_BEFORE) and not before(m, _MENU) else None),
    Rule("sign", r"[×÷±≈≠≤≥‰∶√∞¥€£$%=°¢μΩ₩₹₽]|→(?=.)", lambda m: _SYMBOLS[m.group()]),
    Rule("sign", r"(?<=[A-Za-z] )&\s?(?=[A-Za-z])|(?<=[A-Za-z])&\s?(?=[A-Za-z])", lambda m: "and "),
    Rule("sign", r"&", lambda m: "和"),
    Rule("sign", r"@(?=[A-Za-z\d一-鿿])", lambda m: " at "),
    Rule("sign", r"-(?<![A-Za-z][A-Za-z]-)(?<=[A-Z]-)(?![A-Za-z\d-])", lambda m: "减"),
    Rule("joint", r"[-_](?=[A-Za-z\d])(?<=[A-Za-z\d][-_])", lambda m: " "),
)  # fmt: skip
JOINTS: Final = (
    Rule("slash", r"/\s?(?=\S)", lambda m: "、"),
    Rule("file name", r"\.(?=[a-z]{3})(?<![A-Za-z\d.\s]\.)", lambda m: "点"),
    Rule("file name", rf"\.(?=(?:{FILES})(?![A-Za-z\d]))(?<=[\w）)]\.)", lambda m: "点"),
    Rule("file name", r"\.(?=[a-z\d])(?<=[A-Za-z\d]\.)", lambda m: "点"),
)  # fmt: skip
