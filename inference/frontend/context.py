"""What a word's neighbours say about its reading: polyphones by a table, 得 地 长 为 by rules, surnames by titles.

Each look at the neighbours is a comparison of a few characters, so the cost of a word does not grow with the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Final, NamedTuple

from inference.frontend.hanzi import rows


class Place(NamedTuple):
    """A word, `text[at:end]`, and those on both sides (`""` at the edges); `text` is a run of hanzi in `^` and `$`."""

    text: str
    at: int
    end: int
    before: str
    after: str
    tag: Callable[[str], str]
    """The part of speech of a word, as jieba's dictionary marks it."""


class _Texts:
    """Texts to look for beside a word. Most places are passed over by one character, before any text is compared."""

    __slots__ = ("_all", "_first", "_last", "_texts")

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = tuple(texts)
        self._all = "" in self._texts
        self._first = frozenset(text[:1] for text in self._texts)
        self._last = frozenset(text[-1:] for text in self._texts)

    def begins(self, text: str, at: int) -> bool:
        """Whether one of them stands in `text` at the place."""
        return self._all or (text[at] in self._first and text.startswith(self._texts, at))

    def ends(self, text: str, at: int) -> bool:
        """Whether one of them ends right before the place."""
        return self._all or (text[at - 1] in self._last and text.endswith(self._texts, 0, at))


def reading(word: str, place: Place) -> tuple[tuple[str, ...], str] | None:
    """The word's readings here and the rule that told them, None when the neighbours tell nothing."""
    surname, rule, table = ambiguous()[word]
    if surname and _is_name(word, place):
        return surname, "surname"
    if rule is not None:
        return (rule(place),), "polyphone"
    text, at, end = place.text, place.at, place.end
    for readings, before, after in table:
        if before.ends(text, at) and after.begins(text, end):
            return readings, "polyphone"
    return None


@cache
def ambiguous() -> dict[str, tuple[tuple[str, ...], Callable[[Place], str] | None, tuple[_Row, ...]]]:
    """The words whose reading depends on their neighbours: each as a surname, its rule, its rows of the table."""
    return {
        word: (surnames().get(word, ()), _RULES.get(word), _table().get(word, ()))
        for word in {*surnames(), *_RULES, *_table()}
    }


@cache
def surnames() -> dict[str, tuple[str, ...]]:
    """Surnames that are read otherwise than the same characters elsewhere, and compound ones."""
    pairs = (pair.partition(":") for row in rows("surnames.txt") for pair in row.split())
    return {name: tuple(reading.split("-")) for name, _, reading in pairs}


_COURTESIES: Final = _Texts(
    "先生 女士 小姐 老师 教授 博士 医生 大夫 师傅 同学 同志 太太 夫人 阿姨 叔叔 伯伯 大爷 大妈 大姐 大哥 奶奶 "
    "爷爷 姐姐 哥哥 姑娘 公子 律师 法官 警官 护士 编辑 记者 掌柜 大人 大嫂 某 氏 姓 老板 导演 总$ 总您 总好 "
    "总说 总请 总早 总来了".split()
)
_OFFICES: Final = _Texts(
    "主任 经理 总经理 局长 处长 科长 厂长 校长 院长 市长 县长 区长 省长 部长 书记 主席 队长 班长 连长 营长 "
    "团长 将军 教练 秘书 会长 行长 董事长 董事 站长 所长 馆长 社长 秘书长 总监 总裁 总统 组长 司令 政委 参谋 "
    "工程师 检察官 导师 股长 镇长 乡长 村长 庭长".split()
)
_MEETING: Final = _Texts("^ 和 与 跟 找 见 请 向 对 给 被 把 让 是 叫 陪 替 听 问 谢谢 感谢 欢迎 了 的".split())
_RARE: Final = frozenset("那过干能相种员洗折句祭秘黑繁召藏乜")
"""Surnames that are far commoner as other words: 那老师 is that teacher."""
_HOLDS_OFFICE: Final = frozenset("任 曾 解")
"""These come before a title as words of their own too: 任主任, 曾校长."""
_GIVEN: Final = frozenset(
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红娥玲菲琴建国志文斌波辉宇浩凯鹏飞婷雪梅琳晶佳嘉欣怡雅慧莹倩"
    "琪瑶瑞龙云峰林森海江河山川春夏秋冬兰菊荷莲凤燕虎彪彬武义仁礼智信忠孝诚德福禄寿康宁庆祥瑞泰昌荣富贵金银铜铁钢祖"
    "宗耀光辰阳晨旭昊天宏鸿永远恒达通顺兴旺盛发成功立业勤俭学思维哲睿博雷震霆雨露霜雯霖沛泽润清源泉沁涵淑贤惠婉媛嫣"
    "妍姗珊珍珠瑜瑾璇璐琦琛玮珂莉萱蕾薇蓉芸芝芬苗菁茜苹茹荔翠翔羽鹤鹰骏骥坤乾震巍岩岚岳峻崇家豪俊杰毅刚勇坚卫东西"
    "南北良善美艾希子轩梓涵一诺佑宸奕奇颖颂颜雄壮胜利民主权振宝培根树桐松柏梧楠榕朴国藩侠仪佩佳健儒元光克全公兆其凡"
    "则励勋千升协卓南友双可君启嘉国园圣城堂增士夫如宏宗宜容宣实宽富寅寒小少尚尧展岭巧帆师帅希常幼广庄延弘弦强彦彤"
    "征徐得心必忆快怀思恩恺悦惟愉慈懿成扬承抗拓拥挺捷敬文斯新方旋日昂昆易星映晓晖晗景智月朋望朗木本杉来杨枫柔柳标栋"
    "桦梁梦棋楚歌正步毓水汉沙治法洁洪津洲浦浪润淳渊清湘溪滨漫澄澜激灵灿炎炜炳烨焕然照煜熙燃爱牧特猛献珏珑理琼瑛璞瓒"
    "生用甫田男甲申畅登白皓益盈相真睦石砚硕祎祖禹禾秉程稳穆空立章童笑笛筠简籁粟精素紫红约纪纬绍经绣维绮缘缨罗群翰翼"
    "聪聿肖育胤能致航舒良艺节芊苏若茂范荃莎莫菡萌萧葆蓓蓝蔚藏虹蝶行裕观言训许论诗详语诺谊谦贝贞赋赛赞超越跃路载辅辉达"
    "迅迎进迪逊逸遥邦郁采钊钦钧锋锐锦键镇长问闻阔际陆陶隆隽青靖静非韬韵顶顺须颂飒飞馨驰驹骁高鲁鲜鸣麒麟黎齐"
)
"""Characters that given names are made of; function words are left out."""
_FOLLOWS_NO_NAME: Final = frozenset("经有是在被想因为和把于与说对到任")


def _is_name(word: str, place: Place) -> bool:
    text, at, end = place.text, place.at, place.end
    if len(word) > 1 or (text.endswith("姓", 0, at) and not text.endswith("百姓", 0, at)):
        return True  # a compound surname is no other word
    if word in _RARE:
        return False
    if _OFFICES.begins(text, end):
        return word not in _HOLDS_OFFICE or _MEETING.ends(text, at)
    if place.before in {"老", "小", "阿"} and text[end] != "的":
        return word not in _HOLDS_OFFICE or place.after[:1] not in _FOLLOWS_NO_NAME
    return _COURTESIES.begins(text, end) or _begins_full_name(place)


def _begins_full_name(place: Place) -> bool:
    """Whether a given name follows: two single characters fit for one, or a word that is one."""
    after = place.after
    if len(after) == 2 and after[0] in _GIVEN and after[1] in _GIVEN:
        return place.tag(after).startswith(("nr", "x"))
    given = place.text[place.end : place.end + 2]
    return len(after) == 1 and all(char in _GIVEN for char in given)


_Row = tuple[tuple[str, ...], _Texts, _Texts]
"""Readings, and what stands right before and right after; `""` fits everything."""


@cache
def _table() -> dict[str, tuple[_Row, ...]]:
    """`contexts.tsv`: for each word its readings with what must stand before and after it, the first that fits wins."""
    classes: dict[str, list[str]] = {}
    table: dict[str, list[_Row]] = {}
    for row in rows("contexts.tsv"):
        words, *cells = row.split("\t")
        if words.startswith("@"):
            classes[words] = cells[0].split()
            continue
        readings, before, after = cells
        for word in words.split():
            table.setdefault(word, []).append((tuple(readings.split()), _side(before, classes), _side(after, classes)))
    return {word: tuple(found) for word, found in table.items()}


def _side(cell: str, classes: dict[str, list[str]]) -> _Texts:
    if cell == "-":
        return _Texts([""])
    head = {item[1:] for item in cell.split() if item.startswith("@")}
    texts = [text for name, members in classes.items() for text in members if name[1:] in head]
    return _Texts([*texts, *(item for item in cell.split() if item not in classes)])


_PRONOUNS: Final = frozenset(
    "我 你 您 他 她 它 咱 谁 我们 你们 他们 她们 它们 咱们 大家 人 人们 自己 咱俩 你俩 们".split()
)
_ADVERBS: Final = frozenset(
    "都 就 还 也 又 可 只 总 必 必须 一定 恐怕 还是 真 才 今天 明天 现在 可能 肯定 最少 至少 起码 总是 非 那 "
    "便 仍 仍然 先 再 又 或许 大概 估计 看来 看样子 以后 今后 明年 后天 下午 上午 晚上 早上 周末 下周 每天 "
    "天天 到时候 有时 有时候 反正 怎么 怎么也 同样 首先 当然 毕竟 终究 迟早 早晚 确实 实在 需要 不然 否则 要不 "
    "那么 所以 因此 于是 但 但是 可是 而且 如果 要 要是 凡事 最后 最终 关键 起码 最好 其实 然后 这 这次 这回 "
    "一般 通常 往往 原来 本来 咱们 尤其 肯定 偏 硬".split()
)
_DEGREE: Final = frozenset("很太更非真最好不多有像怎那这挺够怪极够特快慢早晚高低")
_GAINED: Final = _Texts(
    "到 分 出 奖 病 票 胜 手 知 罪 失 益 逞 体 当 宠 势 道 名 来 主 力 金 冠 以 其 此 了冠 了奖 了病 了一 了第 "
    "了病 了癌 了感 了流 了肺 了抑 了这 了重 了满 了零 了高 了不少 了便 癌".split()
)

_GAINING: Final = frozenset("已 曾 所 不 未 刚 终 共 喜 荣".split())
_URGED: Final = _Texts("多 快 早 好好".split())


def _de(place: Place) -> str:
    """得: gained (de2), must (dei3), or before a complement (de5)."""
    text, end, before, after = place.text, place.end, place.before, place.after
    leads = not before or before in _PRONOUNS or before in _ADVERBS or before in {"事", "车", "钱", "饭"}
    leads = leads or (len(before) > 1 and place.tag(before)[:1] in {*"nrtc"})
    if before in {"独", "共", "净", "各"} or (_GAINED.begins(text, end) and (leads or before in _GAINING)):
        return "de2"
    if after and before and place.tag(after) == "t":
        return "dei3"  # 快递得明天到
    if not after or not leads:
        return "de5"
    degree = before not in _ADVERBS and after[0] in _DEGREE and not _URGED.begins(text, end)
    return "de5" if before and degree else "dei3"


def _di(place: Place) -> str:
    """地: a particle after an adverbial, else the ground."""
    before = place.before
    if len(before) < 2:
        return "de5" if before in {"猛", "忽", "蓦", "倏", "霍", "轰", "嗖", "哗", "唰", "呼", "砰"} else "di4"
    if not place.after:
        return "de5" if before[-1] == "然" or before[-1] == before[-2] or place.tag(before)[:1] in {"d", "z"} else "di4"
    if before[-1] in "块片这那整本各亩":
        return "di4"
    if before[-1] == "的" or place.tag(before)[:2] in {"nr", "ns", "r", "m"}:
        return "di4" if before[-1] not in "次遍步个样" else "de5"
    return "de5"


_AFTER_GROWN: Final = _Texts(
    "点心 点记 点肉 点本 点见 大 高 出 成 得 满 着 了 过 胖 在 进 到 回 于 势 毛 草 虫 痘 疮 肉 霉 锈 牙 个 "
    "这么 那么 此 一 期".split()
)
_LONG_BEFORE: Final = _Texts(
    "很 太 最 更 多 米 里 不 较 越 真 这么 那么 挺 好 非常 特别 比较 够 且 又 全 公里 厘米 千米".split()
)


def _chang(place: Place) -> str:
    """长: to grow before what grows or how, else long."""
    text, at, end = place.text, place.at, place.end
    if text.endswith(("不长", "没长"), 0, end) and text.startswith(
        ("大", "高", "胖", "牙", "毛", "草", "个", "肉"), end
    ):
        return "zhang3"
    if _LONG_BEFORE.ends(text, at) or not place.after:
        return "zhang3" if place.before in {"疯", "猛", "学", "见", "师", "兄"} else "chang2"
    if text.startswith(("期", "达", "得多", "一点", "一些", "了点", "了一点", "了些", "过头"), end):
        return "chang2"
    return "zhang3" if _AFTER_GROWN.begins(text, end) else "chang2"


_NAMED: Final = frozenset("成作以名定视称认变分设改列选译最被命封聘任评誉转化合并奉尊即意拜折换算降升约宽深厚重距均误")
_NUMERALS: Final = frozenset("零一二三四五六七八九十百千万亿两负第半几")
_FOR: Final = frozenset(
    "我 你 您 他 她 它 我们 你们 他们 她们 它们 大家 自己 人民 国家 祖国 孩子 客户 用户 此 何 什么 了 公司 "
    "社会 群众 企业 人类 父母 母亲 父亲 别人 人们 广大 消费者 学生 老百姓 百姓 居民 读者 观众 顾客 乘客 民 谁 "
    "咱们 员工".split()
)

_FOR_WHAT: Final = _Texts(
    "提供 准备 此 何 人民 的是 之 他人 一己 一点 全 解决 避免 防止 方便 支持 配合 确保 实现 保护 争取".split()
)
_BE_WHAT: Final = _Texts(
    "主 例 止 准 宜 重 中心 由 首 界 期 本 先 荣 食 伍 生 业 师 基础 核心 目标 代表 重点 主题 背景 前提 依据 "
    "目的 标准 原则 题 正 负 零 空 甲 国家 全国 世界 中国 最 更 一".split()
)
_BE_AFTER: Final = frozenset("均 则 应 皆 仅 乃 若 即 仍 都 已 多 约 实 确 当 不 其 此 这 该 同 互 能 可".split())
_FOR_AFTER: Final = frozenset(
    "在 要 会 想 正 是 来 去 而 只 并 就 专门 愿意 愿 曾 特意 专程 也 还 又 一直 始终 特地 必须 共同".split()
)


def _wei(place: Place) -> str:
    """为: for, because of (wei4), or be, become, act as (wei2)."""
    before, after, text, end = place.before, place.after, place.text, place.end
    if after in _FOR or _FOR_WHAT.begins(text, end):
        return "wei4"
    if not before:
        return "wei2" if text.startswith(("期", "时", "首", "人"), end) else "wei4"
    if not after or before[-1] in _NAMED or after[0] in _NUMERALS or _BE_WHAT.begins(text, end):
        return "wei2"
    if before in _BE_AFTER or len(text) - 1 == end + len(after):  # the last word: 白露为霜
        return "wei2"
    return "wei4" if before in _FOR_AFTER or place.tag(before) in {"r", "nr", "c"} else "wei2"


_RULES: Final[dict[str, Callable[[Place], str]]] = {"得": _de, "地": _di, "长": _chang, "为": _wei}
