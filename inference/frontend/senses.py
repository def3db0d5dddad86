"""Polyphones told by sense: by parts of speech, counts and near words, where no row of `contexts.tsv` fits.

Each looks at a few words on either side, so the cost of a word does not grow with the text.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from inference.frontend.hanzi import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.frontend.context import Place

NUMERALS: Final = frozenset("零一二三四五六七八九十百千万亿两负第半几")
REACH: Final = 6
"""Words behind that are looked at for what governs a word: 把 before its verb, a warning before what may hurt."""


def listed(name: str) -> tuple[str, ...]:
    """The words of `words.tsv` under that name."""
    return _lists()[name]


@cache
def _lists() -> dict[str, tuple[str, ...]]:
    pairs = (row.split("\t") for row in rows("words.tsv"))
    return {name: tuple(words.split()) for name, words in pairs}


def _answers(place: Place) -> bool:
    """Whether somebody is complied with: 应|供应商|要求, 应|学校|的|盛情|邀请, but not 应|满足|下列|要求."""
    for word in place.words[place.number + 1 : place.number + REACH + 3]:
        if word in {"邀", "约", "请"} and place.words[place.number + 1] != word:
            return True  # 应老同学之约
        if word.endswith(_WISHES):
            return word not in _WISHES or word != place.after
        if word not in _WISHED and place.tag(word)[:1] not in {*"nmqrjsxbk", ""} and place.tag(word) != "vn":
            return False
    return False


_WISHES: Final = (
    "要求",
    "邀请",
    "请求",
    "号召",
    "之邀",
    "邀约",
    "之约",
    "之请",
    "征召",
    "召唤",
    "呼吁",
    "盛邀",
    "需求",
)
_WISHED: Final = frozenset("的 之 盛情 热情 诚挚 友好 强烈 一致 广大 特别 再三 多次 紧急 联合 共同".split())
"""What may stand before a wish that is complied with, beside whose it is."""


def suggests(place: Place) -> bool:
    """Whether 得了 ends a suggestion: 要不搬到通州去得了, and not what can be done: 你去得了吗, 我一个人拿得了."""
    text, at = place.text, place.at
    if text[place.end] != "$" and not text.startswith(("吧$", "呗$", "啊$", "呀$"), place.end):
        return False
    before = text[:at]
    if any(word in before for word in _CAPABLE):
        return False
    if before.endswith(_GONE) or any(word in before for word in _SUGGESTING):
        return True
    there = max(before.rfind("到"), before.rfind("上"), before.rfind("回"))
    return before[-1] in "去来" and 0 < there < at - 2  # 搬到通州去得了


_CAPABLE: Final = ("谁", "哪", "怎么", "咋", "难道", "能不能", "未必", "才", "不一定", "肯定", "一个人", "应该")
_SUGGESTING: Final = ("要不", "干脆", "不如", "索性", "直接", "不行就", "大不了", "算我", "就算", "咱", "替我", "不然")
_GONE: Final = tuple(
    "回去 过去 出去 进去 上去 下去 回来 过来 出来 进来 下来 先走 先睡 先吃 一起去 一起走 一块去 一块儿去 一块走 "
    "自己去".split()
)
"""Verbs that no 得了 makes possible: that would be 回得去."""


def _is_rate(place: Place) -> bool:
    """Whether 率 is how often what stands before is done: 复现|率, 接管|率|明显, but 主教练|率|国足."""
    before, after = place.before, place.after
    if len(before) < 2 or before in _INTENDED:
        return False
    tag = place.tag(before)
    if tag[:1] == "v":
        return True
    leads = before[-1] in _LEADERS or tag[:1] == "r" or tag[:2] in {"nr", "ns"}
    return not (leads or place.text.startswith(_LED, place.end)) and (not after or place.tag(after)[:1] in {*"advup"})


_INTENDED: Final = frozenset("决定 打算 准备 计划 开始 继续 亲自 奉命 受命".split())
"""Verbs that may stand before to lead: 决定|率|全家."""
_LEADERS: Final = frozenset("长帅练员席理统王将皇帝使领师官记任裁校方队军国")
_LED: Final = tuple("队 团 军 部 兵 众 师 全 一行 高级 强大 精 大军 大队 代表 旗下".split())
"""Who leads, and whom: 董事长|率|高级代表团."""


def _hits(place: Place) -> bool:
    """Whether 中 says how many of so many shots hit: 三分球|三十二|中|十四, but not 三十二中十四个班."""
    if place.before[-1:] not in _COUNTS:
        return False
    start = place.at
    while place.text[start - 1] in _COUNTS:
        start -= 1
    if place.text[start - 1] in "投罚" and place.text[start - 2] in _COUNTS:
        return True  # 十八罚十七中
    near = place.text[max(0, place.at - _NEAR) : place.at]
    return place.after[:1] in _COUNTS and any(shot in near for shot in _SHOTS)


_COUNTS: Final = frozenset("零一二三四五六七八九十百全")
_SHOTS: Final = ("投", "球", "罚", "射", "枪", "箭", "篮", "三分", "出手")
_NEAR: Final = 10
"""Characters before 中 that are looked at for shots."""


def _of_counted_rolls(place: Place) -> str | None:
    """How 卷 is read after a number: rolls of paper or cloth (juan3) where these are near, else volumes (juan4)."""
    if place.text[place.at - 1] not in NUMERALS:
        return None
    near = place.text[max(0, place.at - _NEAR_ROLLS) : place.end + 4]
    return "juan3" if any(thing in near for thing in _ROLLED) else "juan4"


_ROLLED: Final = tuple(
    "纸 胶带 胶卷 保鲜膜 薄膜 垃圾袋 纱布 绷带 布 毛线 电线 电缆 网线 铁丝 地毯 面料 标签 提".split()
)
_NEAR_ROLLS: Final = 20
"""Characters before 卷 that are looked at for what comes in rolls."""


def _takes_for(place: Place) -> bool:
    """Whether 当 takes something for something else: 把|配角|当|主角, 以|茶|当|酒, with no other verb between."""
    behind = place.words[max(0, place.number - REACH) : place.number]
    if place.after and len(behind) > 1 and behind[-2] in {"拿", "以"} and place.tag(behind[-1])[:1] == "n":
        return True
    if not place.after or "把" not in behind:
        return False
    taken = behind[max(at for at, said in enumerate(behind) if said == "把") + 1 :]
    return bool(taken) and not any(place.tag(said)[:1] == "v" for said in taken)


_BURNT_BY: Final = frozenset("没才就又还也都会能不难全快然先")
"""What stands before 着 where it is itself the verb, to burn: 火还没着起来, 电动车突然着了."""
_HURTING: Final = frozenset("烫扎夹压踩磕摔跌硌闪噎呛吓冻饿累晒淋伤电蜇蛰熏割刮撞砸绊碰咬挠崴抻扭刺戳")
_GETTING: Final = frozenset("钓捞逮捉捕抢捡买赚借猜找淘够沾蹭")
_ENDING: Final = frozenset("睡点打赶见瞧闻梦听遇抓烧燃引吃喝轮租订赢尝摸治") | _GETTING
"""Verbs that end in what they are for, beside those that hurt: 睡着, 点着, 逮着."""
_WARNING: Final = frozenset(listed("warning"))
_BODY: Final = frozenset(listed("body"))
_LIKELY_ENDS: Final = frozenset(["", "吧", "吗", "呢", "啊", "呀", "没", "没有", "的", "什么", "啥", "谁"])


def _of_zhe(place: Place) -> str | None:
    """着: burnt, or the end of what is done (zhao2): 油|着|了, 睡|着|了, 没|人|伤|着, 钓|着|两条|鱼."""
    verb, after = place.before[-1:], place.after
    if verb in _HURTING:
        ends = after == "了" or _hurts(place)
    elif verb in _ENDING:
        ends = after == "了" or _gets(place)
    else:
        burns = after in {"了", "起来"} or (verb in {"没", "才"} and after in {"", "呢"})
        ends = burns and (place.tag(place.before)[:1] == "n" or verb in _BURNT_BY)
    return "zhao2" if ends else None


def _hurts(place: Place) -> bool:
    """Whether somebody is hurt, or warned that they may be: 砸|着|脚|了, 小心|烫|着."""
    after, number = place.after, place.number
    if after in _BODY and place.words[number + 2 : number + 3] == ["了"]:
        return True
    somebody = after in _LIKELY_ENDS or after in _BODY or place.tag(after)[:1] == "r"
    missed = place.words[max(0, number - 2) : number - 1] == ["没"] and place.tag(after)[:1] == "n"
    return missed or (somebody and not _WARNING.isdisjoint(place.words[max(0, number - REACH) : number]))


def _gets(place: Place) -> bool:
    """Whether something is got or missed: 捡|着|一个|钱包, 赚|着|钱|了, 没|吃|着|饭."""
    verb, after, words, number = place.before[-1:], place.after, place.words, place.number
    led = words[number - 2] if number > 1 else ""
    if verb in _GETTING:
        had = words[number + 2 :] == ["了"] and place.tag(after)[:1] in {"n", "a"}
        if had or (after[:1] in NUMERALS and led not in {"在", "正"}):
            return True
    missed = (led == "没" and verb not in {"打", "点"}) or (verb in _GETTING and led in _AT_LAST)
    return missed and (after in _LIKELY_ENDS or place.tag(after)[:1] in {"n", "r"})


_AT_LAST: Final = frozenset("才 终于 总算 可算".split())


def _counts(place: Place) -> str | None:
    """数 as a verb: who stands first (兄弟三个，数|老二|最|能干), or what is counted."""
    after, text, end = place.after, place.text, place.end
    ahead = place.words[place.number + 1 : place.number + REACH]
    leads = place.before in {"", "还", "就", "要", "得", "里", "中", "个", "俩", "属", "论"}
    person = place.tag(after)[:2] in {"nr", "r"} or text[end] in "老小" or text[end] in "我你您他她它咱"
    person = person and not text.startswith(("小于", "小到", "老是"), end)
    return "shu3" if leads and person and (place.before != "个" or "最" in ahead) else None


def _dried(place: Place) -> str | None:
    """干 before a noun of goods is dry: 干|面粉, 干|毛巾, but not 干|活."""
    trade = place.words[place.number + 2 : place.number + 3] in (["生意"], ["买卖"], ["批发"])
    dry = place.after.endswith(_GOODS) and place.tag(place.after)[:1] in {"n", "z", ""}
    return "gan1" if dry and not trade else None


_GOODS: Final = listed("goods")


def _runs_to(place: Place) -> str | None:
    """奔 before a place, somebody or an age is to make for it: 台风|奔|福建, 都|奔|八十|了."""
    going = any(word[-1] in "去来" for word in place.words[place.number + 1 : place.number + 4])
    if place.before == "大":
        return None  # 开着大奔来
    return "ben4" if going or place.tag(place.after)[:1] in {"n", "r", "s", "m"} else None


def _hoops(place: Place) -> str | None:
    """勒: to tighten (lei1) before how or what is tightened: 勒|红, 勒|手, 别|勒|太紧."""
    after = place.after
    tight = place.tag(after)[:1] == "a" or after[:1] in _TIGHTENED or after in {"进", "成", "太紧"}
    return "lei1" if tight or place.before in {"别", "有点", "太", "老", "直"} else None


_TIGHTENED: Final = frozenset("红疼痛破断死紧住手肚脖耳肩腰腿脚肉人")


def _stays(place: Place) -> str | None:
    """待 before how long somebody stays is dai1: 待|半天, 就|待|了|五个|小时."""
    ahead = "".join(place.words[place.number + 1 : place.number + 3])
    return "dai1" if ahead.startswith((*_WHILES, *_WHERE)) or (ahead[:1] == "了" and ahead[1:2] in NUMERALS) else None


_WHILES: Final = tuple("半天 大半 好久 很久 好几 一宿 一夜 一上午 一下午 一晚 一整 一会 不惯 得住 得惯 腻".split())

_WHERE: Final = ("哪", "这儿", "那儿", "这里", "那里", "家里", "屋里", "在")


def _spins(place: Place) -> str | None:
    """转 for so long is to spin: 能|转|好几分钟. What is turned over or changed takes no such time."""
    ahead = place.text[place.end : place.end + _NEAR]
    able = place.before in {"能", "可以", "会", "还能", "就能"}
    return "zhuan4" if able and ahead.startswith(("好几", "几", "半", "很久", "好久", "多久")) else None


def _picks(place: Place) -> str | None:
    """挑起: to start picking where 来 ends it (挑起|水果|来), else what the table of readings says."""
    return "tiao1 qi3" if "来" in place.words[place.number + 1 : place.number + 4] else None


_WHOM: Final = frozenset("你您我他她咱")


def _is_paid_up(place: Place) -> str | None:
    """补给: made up to somebody (补给|你), else supplies."""
    return "bu3 gei3" if place.after[:1] in _WHOM or place.after in {"客户", "员工", "顾客"} else None


SENSES: Final[dict[str, Callable[[Place], str | None]]] = {
    "应": lambda place: "ying4" if _answers(place) else None,
    "率": lambda place: "lv4" if _is_rate(place) else "shuai4",
    "中": lambda place: "zhong4" if _hits(place) else None,
    "卷": _of_counted_rolls,
    "当": lambda place: "dang4" if _takes_for(place) else None,
    "着": _of_zhe,
    "数": _counts,
    "干": _dried,
    "奔": _runs_to,
    "勒": _hoops,
    "待": _stays,
    "转": _spins,
    "挑起": _picks,
    "补给": _is_paid_up,
}
"""For each word what says its reading here, or None where that is the usual one."""
