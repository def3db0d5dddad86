"""What a word's neighbours say about its reading: polyphones by a table, 得 地 长 为 by rules, surnames by titles.

Each look at the neighbours is a comparison of a few characters, so the cost of a word does not grow with the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final, NamedTuple

from inference.frontend.hanzi import first_reading, rows


class Place(NamedTuple):
    """A word, `text[at:end]`, and those on both sides (`""` at the edges); `text` is a run of hanzi in `^` and `$`."""

    text: str
    at: int
    end: int
    before: str
    after: str
    words: Sequence[str]
    """All words of the run; this one is `words[number]`."""
    number: int
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
    if word in _SONS:
        if len(place.after) != 1 or place.after not in _SECOND:
            return None
        return (*surnames().get(word[0], (first_reading(word[0]) or "",)), "zi3"), "surname"
    if surname and _is_name(word, place):
        return surname, "surname"
    if rule is not None:
        return (rule(place),), "polyphone"
    text, at, end = place.text, place.at, place.end
    for readings, before, after in table:
        if before.ends(text, at) and after.begins(text, end):
            return readings, "polyphone"
    return (("dang4",), "polyphone") if word == "当" and _takes_for(place) else None


def _takes_for(place: Place) -> bool:
    """Whether 当 takes something for something else: 把|配角|当|主角, with no other verb between."""
    behind = place.words[max(0, place.number - _REACH) : place.number]
    if not place.after or "把" not in behind:
        return False
    taken = behind[max(at for at, said in enumerate(behind) if said == "把") + 1 :]
    return bool(taken) and not any(place.tag(said)[:1] == "v" for said in taken)


_REACH: Final = 6
"""Words between 把 and its verb that are looked at."""


@cache
def ambiguous() -> dict[str, tuple[tuple[str, ...], Callable[[Place], str] | None, tuple[_Row, ...]]]:
    """The words whose reading depends on their neighbours: each as a surname, its rule, its rows of the table."""
    return {
        word: (surnames().get(word, ()), _RULES.get(word), _table().get(word, ()))
        for word in {*surnames(), *_RULES, *_table(), *_SONS}
    }


@cache
def surnames() -> dict[str, tuple[str, ...]]:
    """Surnames that are read otherwise than the same characters elsewhere, and compound ones."""
    pairs = (pair.partition(":") for row in rows("surnames.txt") for pair in row.split())
    return {name: tuple(reading.split("-")) for name, _, reading in pairs}


_COURTESIES: Final = _Texts(
    "先生 女士 小姐 老师 教授 博士 医生 大夫 师傅 同学 同志 太太 夫人 阿姨 叔叔 伯伯 大爷 大妈 大姐 大哥 奶奶 爷爷 "
    "姐姐 哥哥 姑娘 公子 律师 法官 警官 护士 编辑 记者 掌柜 大人 大嫂 某 氏 姓 老板 导演 总$ 总您 总好 总说 总请 总早 "
    "总来了".split()
)
_OFFICES: Final = _Texts(
    "主任 经理 总经理 局长 处长 科长 厂长 校长 院长 市长 县长 区长 省长 部长 书记 主席 队长 班长 连长 营长 团长 将军 "
    "教练 秘书 会长 行长 董事长 董事 站长 所长 馆长 社长 秘书长 总监 总裁 总统 组长 司令 政委 参谋 工程师 检察官 导师 "
    "股长 镇长 乡长 村长 庭长".split()
)
_OCCUPATIONS: Final = _Texts(
    "记者 教练 教练员 球员 队员 演员 选手 运动员 研究员 院士 教授 教师 老师 导演 歌手 主持人 作家 画家 诗人 民警 交警 "
    "警官 医生 医师 护士 律师 法官 检察官 作者 编剧 学者 专家 分析师 设计师 工程师 科学家 企业家 艺术家 音乐家 书法家 "
    "评论员 解说员 飞行员 航天员 宇航员 消防员 司机 男子 女子 村民 居民 市民 网友 店主 老板 老板娘 车主 业主 家长 "
    "学生 同学 同事 朋友 邻居 战士 烈士 士兵 中尉 上尉 少校 中校 上校 少将 中将 上将 嫌疑人 被告人 被告 原告 受害人 "
    "当事人 发言人 负责人 创始人 法人 候选人 经纪人 代言人 合伙人 传承人 获得者 志愿者 表演者 消费者 举报人 证人 "
    "首席执行官 首席 代表 委员 助理 顾问 干事 职员 店员 服务员 快递员 外卖员 骑手 乘务员 售货员 驾驶员 前锋 中锋 后卫 "
    "门将 守门员 中场 名将 小将 老将 国手 冠军 亚军 影帝 影后 女星 男星 明星 艺人 博主 主播 模特 博士 硕士 本科生 "
    "研究生 毕业生 女孩 男孩 姑娘 小伙 青年 少年 老人 农民 渔民 牧民 工人 作曲家 客服 主管 店长 患者 病人 旅客 乘客 "
    "投资人".split()
)
_SONS: Final = frozenset(
    f"{char}子"
    for char in "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡"
    "贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔"
    "贺赖龚文柳肖"
)
"""A surname and the first half of a given name, if one character more follows: 李子|涵. Else some are things."""
_SECOND: Final = frozenset(
    "涵轩萱墨豪怡健琪晴悦昂馨昕睿宸钰妍萌珊瑜陵腾恒祺皓铭辰骞航晨彤依若凌菲琳韬姗枫威异莹浩杰俊凡扬洋瑄萌梦欣诺桐曦烨玥"
)
_MEETING: Final = _Texts("^ 和 与 跟 找 见 请 向 对 给 被 把 让 是 叫 陪 替 听 问 谢谢 感谢 欢迎 了 的".split())
_RARE: Final = frozenset("那过干能相种员洗折句祭秘黑繁召藏乜")
"""Surnames that are far commoner as other words: 那老师 is that teacher."""
_HOLDS_OFFICE: Final = frozenset("任 曾 解")
"""These come before a title as words of their own too: 任主任, 曾校长."""
_GIVEN: Final = frozenset(
    "亮昕钰芮弛炫颢霁蕊珞芷蓁葳梵棣楷榆槿樱沅泓浔渤滢潼澍烁珝瑭皖竹筝翊翌聆芙芃苡莞菀蕙薏衍襄誉谕谨赫轶辛逵遂郝野铄"
    "锴闵丹甜娅咏妮娇妙冉苑亭亦伊俐傲冲凌凝卉厚夕奥姝娴婧季尔屹嵘廷弈悠攀政旎昱昶晏暄曼柯栩洛浚淇添渝湛潇灏焱熠珩珺"
    "琰琬瑄璟璎盼祺稼竣笙绚羿翎臻舟苒茵菱葵衡豫轲邑郡铎铮闯霄霏鸥鹭黛彩伯仲伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平"
    "刚桂英华玉萍红娥玲菲琴建国志文斌波辉宇浩凯鹏飞婷雪梅琳晶佳嘉欣怡雅慧莹倩琪瑶瑞龙云峰林森海江河山川春夏秋冬兰菊"
    "荷莲凤燕虎彪彬武义仁礼智信忠孝诚德福禄寿康宁庆祥泰昌荣富贵金银铜铁钢祖宗耀光辰阳晨旭昊天宏鸿永远恒达通顺兴旺盛"
    "发成功立业勤俭学思维哲睿博雷震霆雨露霜雯霖沛泽润清源泉沁涵淑贤惠婉媛嫣妍姗珊珍珠瑜瑾璇璐琦琛玮珂莉萱蕾薇蓉芸芝"
    "芬苗菁茜苹茹荔翠翔羽鹤鹰骏骥坤乾巍岩岚岳峻崇家豪俊毅坚卫东西南北良善美艾希子轩梓一诺佑宸奕奇颖颂颜雄壮胜利民主"
    "权振宝培根树桐松柏梧楠榕朴藩侠仪佩健儒元克全公兆其凡则励勋千升协卓友双可君启园圣城堂增士夫如宜容宣实宽寅寒小少"
    "尚尧展岭巧帆师帅常幼广庄延弘弦彦彤征徐得心必忆快怀恩恺悦惟愉慈懿扬承抗拓拥挺捷敬斯新方旋日昂昆易星映晓晖晗景月"
    "朋望朗木本杉来杨枫柔柳标栋桦梁梦棋楚歌正步毓水汉沙治法洁洪津洲浦浪淳渊湘溪滨漫澄澜激灵灿炎炜炳烨焕然照煜熙燃爱"
    "牧特猛献珏珑理琼瑛璞瓒生用甫田男甲申畅登白皓益盈相真睦石砚硕祎禹禾秉程稳穆空章童笑笛筠简籁粟精素紫约纪纬绍经绣"
    "绮缘缨罗群翰翼聪聿肖育胤能致航舒艺节芊苏若茂范荃莎莫菡萌萧葆蓓蓝蔚藏虹蝶行裕观言训许论诗详语谊谦贝贞赋赛赞越跃"
    "路载辅迅迎进迪逊逸遥邦郁采钊钦钧锋锐锦键镇长问闻阔际陆陶隆隽青靖非韬韵顶须飒馨驰驹骁高鲁鲜鸣麒麟黎齐"
)
"""Characters that given names are made of; function words are left out."""
_DONE: Final = frozenset("来成立发献问言论征求扬拥照理约行加超进顶闻通达安当先正直常可必须能得就应相真做长生用")
"""Of those, what a title may do or be: 主任曾来过."""
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
    """Whether a given name follows: two single characters fit for one, or a word that is one.

    After an occupation one character will do, and a word that is no name elsewhere: 院士曾毅, 市长任建华.
    """
    after, text, at = place.after, place.text, place.at
    known = is_introduced(text, at)
    if len(after) == 2:
        tag = place.tag(after)
        if known and tag.startswith("nr"):
            return True
        fits = after[0] in _GIVEN and after[1] in _GIVEN
        return fits and (tag.startswith(("nr", "x", "nz", "j")) or not tag or (known and tag[0] not in "vdpcu"))
    given = text[place.end : place.end + 2]
    if len(after) != 1 or given[0] not in _GIVEN:
        return False
    return given[1] in _GIVEN or (known and given[0] not in _DONE) or (text[at - 1] == "叫" and given[1] == "$")


def is_introduced(text: str, at: int) -> bool:
    """Whether what a person is stands right before the place: 教练, 副市长, 我叫."""
    return _OCCUPATIONS.ends(text, at) or _OFFICES.ends(text, at) or text.endswith("叫", 0, at)


def is_glued_name(word: str, place: Place) -> bool:
    """Whether the segmenter has tied a surname to half of a given name: 教练|解立|彬."""
    fits = word[0] not in _RARE and word[1] in _GIVEN and place.tag(word)[:1] == "n"
    return fits and is_introduced(place.text, place.at)


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
    "都 就 还 也 又 可 只 总 必 必须 一定 恐怕 还是 真 才 今天 明天 现在 可能 肯定 最少 至少 起码 总是 非 那 便 仍 "
    "仍然 先 再 或许 大概 估计 看来 看样子 以后 今后 明年 后天 下午 上午 晚上 早上 周末 下周 每天 天天 到时候 有时 "
    "有时候 反正 怎么 怎么也 同样 首先 当然 毕竟 终究 迟早 早晚 确实 实在 需要 不然 否则 要不 那么 所以 因此 于是 但 "
    "但是 可是 而且 如果 要 要是 凡事 最后 最终 关键 最好 其实 然后 这 这次 这回 一般 通常 往往 原来 本来 咱们 尤其 "
    "偏 硬 就是 光 不光 说到底 仅 单 全 你 则 有点 有人 谁 那就 这就 这就是 无非 说不定 真的 好像 必然 永远 从此 "
    "接下来 一会儿 待会儿 回头 改天 一会 马上 立刻 中午 凌晨 平时 年底 月底 以前 之前 至于 起先 另外 多半 兴许 没准 "
    "没准儿 务必 尽量 只好 难免 免不了 还真 千万 好歹 按理 按说 少说 少不了 动不动 时不时 经常 常常 依然 暂时 随时 "
    "总归 终归 横竖 "
    "是不是 是否 是 会不会 该不该 要不要 能不能 搞不好 弄不好 闹不好 保不齐 指不定 说不准 没准 备不住 据说 听说 显然 "
    "万一 即使 哪怕 除非 就算 一旦 只要 等会儿 等下 待会 等会 第一步 前 后 时 里 内".split()
)
_ERRANDS: Final = frozenset(
    "出门 开车 吃饭 上班 看病 买房 结婚 上学 出国 出差 考试 睡觉 洗澡 做饭 下班 搬家 报名 付款 退货 退款 打车 坐车 "
    "走路 停车 租房 请假 办事 做事 做人 买票 取钱 登录 注册 过年 回家 点菜 吃药 办卡 办证 打针 进门 见面 说话 办理 "
    "买东西 出去 进去 进来 回来 回去 过去 过来 减肥 装修 换乘 转车 挂号 住院 手术 参赛 上车 上课 上网 上路 起飞 送礼 "
    "开会 缓存 扩容 审批 报销 备案 备份 迁移 重构 发版 联调 提测 转正 离职 入职 续费 开票 提现 充值 续签 返厂 报修 "
    "考研 补考 毕业 答辩 打卡 "
    "排队 请客 赚钱 挣钱 花钱 借钱 还钱 创业 找工作 谈恋爱 养孩子 带孩子 写作业 交钱 充钱 付钱 加钱 寄快递 "
    "发快递 取快递 "
    "办签证 用电 施工 种地 养老 看房 买车 卖房 学车 登机 安检 入住 退房 点餐 订票 订餐 取票 换货 发货 下单 支付 游泳 "
    "跑步 爬山 健身 聊天 投资 理财 求职 面试".split()
)
"""Verbs with their object inside take no complement: 得 after them is must, as in 出门得带伞."""
_THINGS: Final = frozenset(
    "机 班 澡 觉 绳 伞 窗 线 键 库 卷 价 粮 米 汤 粥 菜 奶 糖 盐 树 墙 砖 阀 船 牌 证 章 屏 膜 店 楼 球 针 "
    "题 课 字 歌 债 账 税 稿 酒 茶 灯 鱼 肉 婚 事 车 钱 饭 病 爸 妈 哥 姐 弟 妹 书 货 话 菜 药 票 房 活 门 事儿 活儿 "
    "屏 牙 证 号 胎 漆 快递 外卖 衣服 行李 家里 路上 这下 包裹 鞋 锅 碗 床 地 事情 手 脚 头 猫 狗 娃".split()
)
_DEGREE: Final = frozenset("很太更非真最好不多有像怎那这挺够怪极够特快慢早晚高低")
_GAINED: Final = _Texts(
    "奖 病 票 胜 罪 失 益 逞 宠 冠 了冠 了奖 了病 了一 了第 了大 了金 了银 了铜 了癌 了感 了流 了肺 了抑 了这 了重 "
    "了满 了零 了高 了不少 了便 了新 了甲 了乙 了糖 了白 了胃 了肝 了风 了冻 了怪 了绝 了好 了两 了二 了三 了四 了五 "
    "了六 了七 了八 了九 了十 了几 了多 癌 过奖 过冠 过第 过病 过金 过癌 过肺 过新冠 过感 过流 过诺 过全 过大奖 "
    "过一次 过一枚 过一块 过两次 过三次 过四次 过五次 过几次 过多次 过两枚 过两块 过三枚 过三块 过很 过不少 救 闲 空 "
    "亚军 季军 第一 第二 第三 银牌 铜牌 高分 低分 满分 零分".split()
)

_GAINED_ALONE: Final = frozenset("到 分 出 手 知 体 当 势 道 名 主 力 金 以 其 此 一分 一奖".split())
"""These only as whole words: 得|分, but not 得|分开."""
_GAINING: Final = frozenset(
    "已 曾 所 不 未 刚 终 共 喜 荣 均 连 场均 独 净 各 狂 仅 先 再 又 一共 总共 累计 合计 场".split()
)
_URGED: Final = _Texts(
    "多 快 早 好好 有人 有个 有点 有耐 有钱 有时 有一 那样 这样 这么 怎么 低调 慢慢 高度 真 特别 不断 不停".split()
)
_SCORED: Final = frozenset("分票枚")
_LENGTHS: Final = ("天", "周", "年", "个月", "个星期", "个小时", "小时", "分钟", "个工作日")
_BEFORE_MUST: Final = _Texts("少说 的话 往少了说 不说也 怎么着也".split())
_DOERS: Final = frozenset("客员者商户友民师迷们")
"""What people are called ends so, in words that the segmenter's dictionary does not mark: 访客得登记."""
_WINNERS: Final = frozenset(
    "冠军 亚军 季军 胜者 败者 获胜者 优胜者 第一名 第二名 第三名 头名 一等奖 二等奖 三等奖".split()
)
"""Those who gain what is counted after 得: 亚军得五十万."""
_MAY_GAIN: Final = _Texts(
    "最高可 最多可 均可 即可 各可 共可 军可 名可 庭可 户可 奖可 每人可 每年可 每月可 每次可".split()
)
_RECEIVING: Final = frozenset("分 可 能 各 均 中 共 将 应 会".split())
_PAID: Final = _Texts(
    "奖金 奖励 奖品 奖杯 头奖 大奖 一等奖 二等奖 三等奖 特等奖 双色球 遗产 财产 房产 红利 股份 分红 利息 补贴 补偿 "
    "赔偿 津贴 名额 席位 积分 红包 一杯羹".split()
)
"""What is paid out to somebody: 分得遗产, 可得补贴."""
_AT_ONCE: Final = frozenset("抓紧 赶紧 赶快 尽快 尽早 趁早 先 马上 立刻 立即 继续 重新".split())
_NEEDED: Final = frozenset(
    "提前 事先 加强 加快 抓住 经过 遵守 避免 考虑 依靠 按照 根据 听从 跟上 跟进 补上 补齐 警惕 花 交 付".split()
)
"""What a complement never begins with, so that 得 before it is must: 救援得抓紧."""
_AFFAIRS: Final = frozenset(
    "胜利 成功 成长 致富 脱贫 发展 创新 改革 救援 工作 生活 学习 比赛 训练 报销 理赔 维权 维修 安装 退税 转账 "
    "结算 缴费 续费 开票 结账 办案 谈判 合作 交易 投诉 申请 申报 审批 预约 预订 登记 体检 消费 充值 提现 投保 "
    "出行 经营 运营 管理 生产 防守 进攻 治理 服务 改造 建设 调查 研究 执法 监管 招聘 采购 配送 运输 加工 种植 "
    "养殖 营销 推广 销售 融资 贷款 还款 罚款 赔偿".split()
)
_STEPS: Final = frozenset("靠 看 等 用 按 去 找 经 讲 请 派 由 走 打 跑 问 听 从 到 在 凭 拿".split())
"""What affairs take, in nobody's hands but ours: 胜利得靠团队."""
_FOREMOST: Final = frozenset("先进 先后 先天 先锋 先知 先兆 先例 先烈".split())


def _scores(text: str, at: int) -> bool:
    """Whether points, votes or medals follow: 得三分, but not 得三分钟."""
    end = at
    while text[end] in _NUMERALS or text[end] == "点":
        end += 1
    return end > at and text[end] in _SCORED and not text.startswith(("分钟", "分之"), end)


def _lasts(text: str, at: int) -> bool:
    """Whether a length of time follows: 调货得三天, but not 冷得一天比一天早."""
    end = at
    while text[end] in _NUMERALS:
        end += 1
    return end > at and text.startswith(_LENGTHS, end) and not text.startswith(("一天比", "一年比", "一天天"), at)


def _is_paid(place: Place) -> bool:
    """Whether somebody gains a sum or what is paid out: 亚军得五十万, 每年可得补贴."""
    before, after = place.before, place.after
    if after[:1] in _NUMERALS and (before in _WINNERS or (before == "可" and _MAY_GAIN.ends(place.text, place.at))):
        return True
    return before in _RECEIVING and _PAID.begins(place.text, place.end)


def _is_due(place: Place) -> bool:
    """Whether what follows is no complement but what must be done, or how long it takes."""
    before, after = place.before, place.after
    if after in _AT_ONCE or (after[:1] == "先" and after[:2] not in _FOREMOST):
        return True
    return (len(before) > 1 and (after in _NEEDED or _lasts(place.text, place.end))) or (
        before in _AFFAIRS and after in _STEPS
    )


def _de(place: Place) -> str:
    """得: gained (de2), must (dei3), or before a complement (de5)."""
    text, end, before, after = place.text, place.end, place.before, place.after
    if _is_paid(place) or (_scores(text, end) and before not in {"还", "就", "总", "也", "都", "至少", "起码"}):
        return "de2"
    leads = not before or before in _PRONOUNS or before in _ADVERBS or before in _THINGS or before in _ERRANDS
    if len(before) > 1:
        leads = leads or before[-1] in "时前后" or (place.tag(before)[:1] in {*"nrtcsfm"} and before[-1] != "多")
    leads = leads or before == "的" or (before == "了" and after not in {"", "啊", "吗", "呀", "吧"})
    leads = leads or _BEFORE_MUST.ends(text, place.at) or (len(before) > 1 and before[-1] in _DOERS)
    leads = leads or (before == "上" and place.number > 1 and place.tag(place.words[place.number - 2])[:1] in {*"nrs"})
    gained = after in _GAINED_ALONE or _GAINED.begins(text, end)
    if before in {"独", "共", "净", "各"} or (gained and leads) or ((gained or not after) and before in _GAINING):
        return "de2"
    told = before in {"说", "要求", "通知"} and after[:1] in {*"返换等去先交找补花提预重"}
    if told or _is_due(place) or text.startswith("好几", end) or (after and before and place.tag(after) == "t"):
        return "dei3"  # 售后说得返厂, 换屏得好几百, 快递得明天到
    if not after or not leads:
        return "de5" if before else "de2"  # 得,又白忙了
    degree = after[0] in _DEGREE and not _URGED.begins(text, end)
    degree = degree and before not in {*_ADVERBS, "了", "的"} and place.tag(before) != "t"
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
    "身体 知识 本事 志气 脑子 智慧 心眼 痘 皱纹 点心 点记 点肉 点本 点见 大 高 出 成 得 满 着 了 过 胖 在 进 到 回 于 "
    "不好$ 不好的 不大 不高 不出 不胖 不了 不起 势 毛 草 虫 疮 肉 霉 锈 牙 个 这么 那么 此 一 期".split()
)
_LONG_BEFORE: Final = _Texts(
    "老 调 拉 拍 改 设 剪 留 烫 很 太 最 更 多 米 里 不 较 越 真 这么 那么 挺 好 非常 特别 比较 够 且 又 全 公里 "
    "厘米 千米".split()
)


def _chang(place: Place) -> str:
    """长: to grow before what grows or how, else long."""
    text, at, end = place.text, place.at, place.end
    if text.endswith("国防", 0, at) and text[end] not in "城期远久":
        return "zhang3"
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
    "我 你 您 他 她 它 我们 你们 他们 她们 它们 大家 自己 人民 祖国 何 什么 了 此 父母 母亲 父亲 别人 人们 广大 民 谁 "
    "咱们 咱 爱 钱 名利 人人 啥 国 家 家人 公".split()
)
_FOR_WHAT: Final = _Texts(
    "提供 准备 此 何 的是 之 他人 一己 解决 避免 防止 方便 支持 配合 确保 实现 保护 争取 保障 推动 促进 加强 加快 "
    "满足 庆祝 纪念 鼓励 应对 打造 提高 提升 进一步 更好 适应 维护 推进 落实 规范 了解 防范 深入 切实 有效 迎接 帮助 "
    "提振 缓解 减少 降低 扩大 吸引 便于 表达 感谢 报答 救 赢得 赶 挽回 挽救 追求 完成 加大 掩盖 逃避 节省 节约 保证 "
    "尽快 尽早 刺激 稳定 改善 优化 引导 让 使 不影响 弥补 拉动 验证 证明 查明 寻找 凑 养 不让".split()
)
_BE_WHAT: Final = frozenset(
    "主 例 止 准 宜 重 由 首 界 期 本 先 荣 食 伍 生 业 师 正 负 零 空 甲 乙 真 假 题 戒 名 据 辅 限 乐 王 王者 虚 盼 "
    "耻 友 敌 邻 伴 证 快 美 贵 上 负数 正数 零下 百分之".split()
)
_CORES: Final = frozenset(
    "中心 由头 基础 核心 目标 代表 重点 主题 背景 前提 依据 目的 标准 原则 载体 抓手 契机 主线 导向 起点 主体 主力 "
    "榜样 借口 理由 条件 手段 纽带 突破口 支撑 动力 单位 参照 例子 媒介 蓝本 原型 题材 筹码 代价 傲 豪 底线 己任 根本 "
    "龙头 引领 特色 蓝图".split()
)
"""What something is taken for: 以经济建设为中心."""
_FOR_AFTER: Final = frozenset(
    "在 要 会 想 正 是 来 去 而 只 并 就 专门 愿意 愿 曾 特意 专程 也 还 又 一直 始终 特地 必须 共同 别 不是 都是 "
    "全是 只是 只想 一心 不要".split()
)
_WHATS: Final = frozenset(
    "图 下图 上图 左图 右图 图片 图中 资料图 主题 内容 专业 题目 名称 名字 类型 原因 性质 结果 密码 时间 地点 颜色 "
    "身份 职业 职务 学历 国籍 性别 血型 星座 尺寸 规格 单位 宗旨 理念 前身 别名 本名 全称 简称 全名 重量 体重 身高 "
    "高度 长度 宽度 深度 厚度 温度 湿度 浓度 速度 精度 难度 海拔 气温 面积 比例 比分 成绩 得分 人数 分数 总分 指数 "
    "学费 运费 月租 日期 有效期 保质期 期限 周期 工期 跨度 目标 特点 特征 职责 标准 标题 关键词 状态 格式 品种 风格 "
    "结局 分辨率 材质 材料 成分 配置 底色 背景 口味 方式 形式 频率 等级 级别 版本 法定代表人 冠军 亚军 季军 得主 作者 "
    "主角 区间 上限 下限 均价 实质 本质 动机 意思 目的 用途 症状".split()
)
"""Qualities and the like, of which it is told what they are: 主题为环境保护."""
_OF_WHATS: Final = frozenset("率值额费龄址价型号码积")
_SERVED: Final = frozenset("名位家户所个人对支只届批群些")
"""Measures of people and the like, who may be done something for: 为三万名患者提供服务, but 为三天."""
_DEEDS: Final = frozenset(
    "主刀 执刀 掌勺 下厨 站队 指路 贡献 办理 感到高兴 节省时间 骄傲 点赞 助威 代言 送上 保驾护航 添砖加瓦 祈福 努力 "
    "生气 正名 站台 买单 投票 配音 作曲 建功 扳平 打进 争光 出场 量身定制 排忧解难 报名 着急 难过 高兴 自豪 感到 献礼 "
    "造福 建言献策 献策 护航 题字 题词 作序 加分 减负 铺路 接风 接风洗尘 把关 张罗 呐喊 惋惜 捧场 撑腰 求情 开脱 辩解 "
    "续命 叫好 提速 减压 减税 充值 充电 赋能 打气 打分 量 领航 引路 导航 续写 增添 增色 增光添彩 锦上添花 开绿灯 "
    "穿针引线 牵线搭桥 牵线 搭桥 保密 送温暖 出谋划策 遮风挡雨 打抱不平 鸣不平 正确引导 指明方向 指明 照亮 指引 庆生 "
    "过生日 背书 兜底 托底 善后 守门 把脉 号脉 诊脉 会诊 义诊 理发 减刑 发电 供电 供水 供暖 供热 供血 供氧 消毒 降温 "
    "升温 保温 加热 散热 续航 扩容 瘦身 松绑 解绑 解套 造势 预热 热身 直播 转播 解说 翻译 伴奏 伴舞 编曲 填词 写歌 "
    "插画 设计出 撰文 写信 致辞 效力 出战 首发 上场 献唱 拉票 拉分 抢分 得分 拿分 增收 创收 埋下 打call".split()
)
"""What is done for somebody, where the segmenter's dictionary does not mark the word as a verb."""
_KNOWN: Final = frozenset("熟知 知晓 诟病 称道 称颂 传颂 乐道 津津乐道 熟悉 不知 不齿 唾弃".split())
_DEVOTED: Final = frozenset(
    "专 专门 特意 专程 特地 一心 别 不是 只是 义务 甘愿 主动 亲自 亲手 免费 无偿 纷纷 争相 自愿 自发 全力".split()
)
"""What stands before 为 only where something is done for somebody."""
_RANKS: Final = frozenset(
    "最 历史 首次 首个 最高 最低 最大 最小 最多 最少 最快 最长 新高 新低 以来 第一 第二 第三 历年 单季 单日".split()
)
_AFTER_DEED: Final = frozenset("了 过 着 一次 一些 出 到 起 上 完 好".split())
_AHEAD: Final = 16
"""Words looked at after 为 for what is done."""


def _wei(place: Place) -> str:
    """为: for, because of (wei4), or be, become, act as (wei2).

    It is *for* when behind a noun, still in the clause, something is done: 为|受灾|群众|发放. What stands before can
    settle it sooner: 以…为, 称为, and qualities, which are and do nothing.
    """
    before, after, text, end = place.before, place.after, place.text, place.end
    said = place.tag(before) in {"v", ""} or len(before) == 1
    behind = place.words[place.number + 1 : place.number + 5]
    if after in _BE_WHAT or (said and before[-1:] in _NAMED) or any(w[0] == "所" or w in _KNOWN for w in behind):
        return "wei2"  # 称为, 为世人所知
    quality = before in _WHATS or before[-1:] in _OF_WHATS
    if before in _DEVOTED or (after in _FOR and not quality):
        return "wei4"
    if after in _CORES and "以" in place.words[max(0, place.number - _AHEAD) : place.number]:
        return "wei2"
    if quality or not after or (after[0] in _NUMERALS and not _counts_people(place)):
        return "wei2"
    return "wei4" if before in _FOR_AFTER or _FOR_WHAT.begins(text, end) or _does(place) else "wei2"


def _counts_people(place: Place) -> bool:
    text, end = place.text, place.end
    while text[end] in _NUMERALS or text[end] in "多余来":
        end += 1
    return text[end] in _SERVED


def _does(place: Place) -> bool:
    """Whether behind a noun, a pronoun or another verb after the word something is done in what is left of the clause.

    A noun of doing (服务 建设) counts only where it cannot be half of a compound, or where the clause begins with 为.
    """
    words, first = place.words, place.number + 1
    last = min(len(words), first + _AHEAD)
    ranked = not place.before and any(word in _RANKS for word in words[first:last])
    named = led = False
    for number in range(first, last):
        word = words[number]
        tag, after = place.tag(word), words[number + 1] if number + 1 < len(words) else ""
        verb = tag[:1] == "v" and tag not in {"vn", "vd"}
        noun_of_doing = tag == "vn" and (not after or after in _AFTER_DEED or not (place.before or ranked))
        if named and (verb or noun_of_doing or word in _DEEDS or after in _AFTER_DEED):
            relative = "的" in words[number:last] if led else after == "的" and place.tag(place.before)[:1] == "n"
            return not relative  # 该车|为|公司|研发|的|新|车型, 亚军|为|来自|日本|的|选手
        led = led or (verb and not named)
        named = named or verb or tag[:1] in {"n", "r", "s", "j", "x", "l", ""} or tag in {"vn", "an"}
        if word == "而":
            return True
    return False


_RULES: Final[dict[str, Callable[[Place], str]]] = {"得": _de, "地": _di, "长": _chang, "为": _wei}
