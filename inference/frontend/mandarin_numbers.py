"""Figures and symbols in Chinese text, as Chinese: a table of rules, most particular first."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from inference.frontend import units
from inference.frontend.numerals import FILES, SERIAL, en_ordinal, roman, zh_cardinal, zh_digits, zh_number
from inference.frontend.rules import Match, Rule, Table, after, before
from inference.frontend.segment import HANZI
from inference.frontend.words import Change

_N: Final = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)?"
_DAY_OF_YEAR: Final = r"(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])"
_TO: Final = r"\s?(?:[-~～–]|—{1,2})\s?"
_SCALE: Final = r"[十百千]?[万亿]亿?|[百千]"
_UNIT: Final = units.pattern(0)

_CURRENCY: Final = {
    "¥": "元", "$": "美元", "€": "欧元", "£": "英镑", "₩": "韩元", "₹": "卢比", "₽": "卢布", "US$": "美元",
    "HK$": "港元", "NT$": "新台币", "A$": "澳元", "AU$": "澳元", "C$": "加元", "CA$": "加元", "S$": "新元",
    "RMB": "元", "CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元", "HKD": "港元",
    "KRW": "韩元", "TWD": "新台币", "AUD": "澳元", "CAD": "加元",
}  # fmt: skip
_MONEY_CODE: Final = "RMB|CNY|USD|EUR|GBP|JPY|HKD|KRW|TWD|AUD|CAD"
_MONEY_WORD: Final = "元(?!旦|宵|月|素)|圆|美元|美金|欧元|英镑|日元|港元|港币|人民币|块钱|块"
_ZEROS: Final = {"k": 3, "K": 3, "m": 6, "M": 6, "b": 9, "B": 9, "bn": 9}

_COUNTED: Final = (
    "个|位|次(?!方|元)|天|倍|年(?!代|级)|小时|分钟|秒|点(?!击|评|赞)|刻钟|元(?!月|旦)|块|斤|公里|公斤|千克|千米|米|厘米|毫米|平方|平米|"
    "立方|英里|英寸|海里|人|"
    "种|条(?!件)|张|本|只|件|杯|瓶|盒|箱|袋|包|桶|碗|盘|辆|台|架|艘|家|名|岁|周(?!年)|个月|克|间|座|层|部(?!门|分|署|队)|篇|首(?![发批测付次期届任款秀播映日周先相选席创])|场(?!地|景|所)|套(?!餐|路)|双|对|"
    "科(?![技学幻室目比举员长研普])|把(?!手)|支(?!持|付|出|援|撑|架)|枝|头|匹|"
    "棵|朵|颗|份|项|句|段|遍|趟|回|吨|升|亩|公顷|美元|欧(?![洲冠盟])|英镑|日元|港元|万|亿|千|方|边|者|国|市|省|校|队|票|所|起|"
    "例|款|幅|枚|粒|滴|"
    "片|根|串|顿|餐|节(?!目|点|能)|声(?!明|音|称)|代人|类(?!似|型)|组(?!织|成|件)|届|成|株|则|道|扇|面|批|阵|字(?!头)|行(?!业|动|驶|政|程)|列|桌|户|口|封|宗|笔|束|股|轮|局|盏|顶|尊|门|副|"
    "集|胜|负|平(?=[\\d，。、的])|球|"
    "分钱|晚|夜|卡|任|盘|连|战(?![平胜败罢成])|室(?!内|外|友)|厅|卫(?!生|星)|厨|步|拍|抽|下|针|剂|拳|脚|眼|秒钟|斗|筐|篮|壶|罐|锅|勺|管|"
    "瓣|团|堆|捆|幕|圈|招|辈|餐|板|注(?!册|意|定|明|释|射|重|目|入|水|脚|解)|屉|笼|扎(?!实|根|啤)|坛|沓|摞|缕|簇|茬|匣|碟|贴|页(?!面|码|眉|脚)|尺(?!寸|码)|杆|跳|缸|盆(?!地|栽|景)|钵|星期|丈(?!夫|量)|毫升|"
    "车(?=相撞|追尾|道|均|连环|不同)|床(?=被|毯|褥|棉)|提(?=纸|抽|卷|牛奶|装)|荤|菜(?=[一两\\d])|男|女|大(?=\\d|一|两)|小(?=\\d)|听|打(?!印)|挂|记|处|伙|拨|排(?!名|行(?!业|动|驶|政|程)|放)|格(?!式)|助攻|抢断|盖帽|"
    "篮板|失误|犯规|瓦|伏|安(?!全|卓|装)|赫兹|兆|毫克|微克|毫秒|像素|字节|马力|尼特|流明|转(?!发|账|机|人工|接|分机|客服|内线|语音|"
    "\\d(?![\\d小分秒]))|帧"
)
"""What 2 counts is 两."""
_MEASURED: Final = (
    rf"(?:{_COUNTED}|%|℃|°|度|日|号(?!楼|院|线|门)|月|级|页|章|卷|期|折|分|角|毛|寸|两|多|余|来|几|后|强|百|十|平|环|"
    rf"路|字|克拉|弄|环|档|杆|尺|里(?!程)|码(?!头)|投|罚|余|许|左右|上下|出头|开外|进|匹|海拔|元)"
)
_PER: Final = (
    "立方米|立方厘米|立方分米|平方公里|平方千米|平方厘米|平方分米|百毫升|分升|微升|毫克|千瓦时|"
    "斤|公斤|克|吨|升|毫升|人|位|天|日|月|年|周|次|个|件|张|本|盒|瓶|杯|份|套|台|辆|米|公里|平方米|平米|平|亩|小时|时|"
    "分钟|秒|股|桶|度|字|晚|"
    "间|节|户|单|盎司|颗|条|支|课时|季|学期|吨公里|箱|袋|包|桶|罐|批|卷|组|块|片|粒|枚|层|栋|头|只|棵|株|场|局|趟|对|双"
)

_NO_PORTION: Final = (
    r"\d|[一-鿿]\d|天[津猫气河]|日[本语元系式]|月[底初末]|年[级底初代]|人[工民事员力]|次[日方元]|时间|件套|单[人身号独双]|双[人十层]|"
    r"平[台均时]|周[一二三四五六日末边年\d]|个[人别体]|套[餐装]|批发|节[假日]|组[合装]|场[地景馆]|对[公应方]|本[科地人市周月次来]|"
    r"台[湾式]|条件|升级|支[付持]|块[头状]|米[饭线粉]|晚[上餐饭安]|季[度后]|吨位|桶装|盒装|瓶装|包装|袋装|箱包|罐装|度假"
)
"""Words that begin as what something is counted by: 3人/单双."""
_RATED: Final = re.compile(rf"\d\s?[{HANZI}]{{1,5}}$|单位[:：]?[{HANZI}]{{1,4}}$")
"""So many of what stands before a slash: 28微克/立方米."""
_KEYED: Final = re.compile(
    r"(?:[按摁拨扣]|回复?|输入|键入|发送|[选点]择?|选项|方案|步骤|附件|情形|模式|阶段|档位|例题|习题|定理|场景)[“\"]?\s?$"
)
"""After these 2 is a key or a label where what follows may be done: 按2转人工."""
_DONE_NEXT: Final = re.compile(
    "转|回[车复到答退拨放主上首]|报[名修警案销备]|提[交现示前取]|挂[断失机号]|听|连[接线]|打[开印电]|人工|点[歌餐播击]|对[话应]|方[可能案便]|"
    "处理|排队|行[不得]|起[到作]|手[动工]|部[署门分]|节[省点]|步入|下[单载一线]|拨[打号通]|注[册销]|记录|声[明音]|场景|集[成合]|条件|期待|成[功立交]"
)
_PORTIONS: Final = "人天日周月年次包盒箱袋瓶件套份组台班桌间车队分秒时"

_COUNTED_NEXT: Final = re.compile(rf"\s?(?:{_COUNTED})")
_COUNTED_RANGE: Final = re.compile(rf"[到至或]\d++\s?(?:{_COUNTED})")
_CODE_JOINTS: Final = (
    "号码?|尾号|为|是|设置?|弄|搞|换|还|就|仍|都|也|成|改|变|换|叫|填|输入?|选|到|了|的|请|您|你|我|[:：，、…“（(]|\\s|"
    "[前后][一二三四五六七八\\d]位(?:数字?)?|\\d{2,}+|[A-Za-z]-?|或者?|和|以及|从|由"
)
"""What may stand between the name of a code and the code: 密码还是, 验证码：, 状态码是301或."""
_GAME: Final = r"\d{1,3}[:：]\d{1,3}"
_AND: Final = r"(?:[、，,/]\s?|\s?(?:以及|[和与及])\s?|\s)"
"""What stands between the scores of games."""
_MEASURE_NEXT: Final = re.compile(rf"\s?(?:{_MEASURED}|人)")
_CLASS_NEXT: Final = re.compile(r"\s?(?:届|级|款|版|新款|赛季|财年|学年)(?!以上)")
_ROUND_YEAR_NEXT: Final = re.compile(r"\s?(?:年|届|款|版|财年|赛季|学年|[^\d]{0,4}(?:奥运|世界杯|欧洲杯|亚运|世博))")
_HANZI_NEXT: Final = re.compile(f"[{HANZI}]")
_MODEL_ENDS: Final = re.compile(rf"\s?(?:{_MEASURED}|{_UNIT}|[GMTKk]B?(?![A-Za-z]))|[,:：/-]\d")
_COUNTED_VERSIONS: Final = frozenset("Chrome Firefox Edge Chromium Electron Opera".split())
"""Programs whose versions are numbers like any other: Chrome 120."""
_CODE_BEFORE: Final = re.compile(
    "(?:电话|手机|座机|传真|口令|(?:QQ|qq|微信)群?|账户|帐户|准考证|代码|编码|热线|拨打?|客服|快打|请打|致电|身份证|护照|门牌|车牌|"
    "房间|端口|(?<![A-Za-z])[PUGpug]?[Ii][Dd]|车次|航班|报错|分机|转(?:(?<=\\d转)|(?<=\\d 转))(?=\\s?$)|短信|邮编|"
    "号(?<![大中小特几三信符引括问句第\\d]号)|码(?<![起筹砝价加尺数扫\\d]码))"
    f"(?:{_CODE_JOINTS})*+$"
)
_ANSWERED: Final = re.compile(
    f"(?:日志里?(?=[全都])|返回|响应|报错?|抛出?|状态|提示|显示|出现|遇到|碰到|变成|一直|总是|HTTP|错误)(?:{_CODE_JOINTS}|个|全)*+$"
)
"""What a server said: 返回502, 一直报404."""
STATUS: Final = (
    "Not Found|Bad (?:Gateway|Request)|Internal Server|Service (?:Temporarily |Temporary )?Unavailable|Gateway Time|"
    "Forbidden|Unauthorized|Too Many|Not (?:Modified|Acceptable|Implemented|Allowed)|Moved|Method Not|Unprocessable|"
    "(?:Request |Payload )?(?:Timeout|Too Large)|Error(?![A-Za-z])|OK(?![A-Za-z])|Created(?![A-Za-z])|No Content"
)
"""What a server says after the number of its answer: 404 Not Found."""
_FAILING: Final = re.compile(
    "(?:页面|网页|网站|接口|请求|超时|官网|链接|服务器?|系统)(?:又|都|就|直接|一直|总是?|老是?)?\\s?$"
)
"""What fails with a number and no verb: 页面404了."""
_DIVING: Final = re.compile(
    "(?:跳水?|跳分别|动作|难度|[臂翻]体?|完成了?|[选使]用了?|第[一二三四五六]跳)[是为的：“、，]{0,2}$|\\d[CD](?:[和与、]|以及)$"
)
_DIVE_NEXT: Final = re.compile("”?(?:这[一个]跳|这[一个]动作|动作|的?难度|一跳|[和与、]\\d{3,4}[CD])")
_ROOM_BEFORE: Final = re.compile(
    r"(?:单元|[A-Za-z\d一二三四五六七八九十](?:\s?号?[楼栋座幢教]|层|门|区)|宿舍|公寓|大厦|酒店|宾馆|"
    r"房间|包厢|包间|办公楼|教学楼|住|搬到)[的，,\s]?$"
    r"|(?:教室|考场|会议室|病房|诊室|宿舍|房间)(?:[在是为：:]|[改换]到|号)?\s?$"
)
_FLIGHT_BEFORE: Final = re.compile(
    r"(?:(?:航班|车次|[机车]票)[订买改签]+[的了到成]*|航班|车次|[乘搭]坐?|坐|改签|改乘|转乘|[高动]铁|列车)"
    r"号?[:：是为到了的]?\s?$"
)
_ROOM_ENDS: Final = re.compile(rf"\s?(?!门[口前外锁])(?:{_MEASURED}|{_MONEY_WORD}|[千百]?[万亿])")
_QUOTED_NEXT: Final = re.compile("\\s?(?:[收大暴微续]?[涨跌]|停牌|复牌|封板|涨停|跌停|报收|[收开]盘|今日|股价)")
"""What a share does, whose code stands before: 贵州茅台600519收涨."""
_LISTED: Final = re.compile("(?:股票|个股|证券|股份|基金|转债|ETF)[:：是为买卖]?\\s?$")
"""What has a code of six figures on the exchange."""
_CALLED: Final = re.compile("(?:打|拨|呼叫|叫|热线|报警|按|拨通)$")
_CALLED_NEXT: Final = re.compile(
    "(?:[是为][一-鿿]{0,6}?)?(?:客服|热线|急救|报警)|火警|消防|匪警|报警|急救|热线|指挥中心|接警|电话|平台|客服|救护车"
)
_HOTLINE_NEXT: Final = re.compile("[一-鿿]{0,6}?热线")
"""12345市民热线, though 市 is counted too."""
_NOT_CALLED_NEXT: Final = re.compile(rf"\s?(?:{_COUNTED}|折|分)")
_ALONE: Final = re.compile("(?:^|[，。！？,!?])\\s?$")
"""A server's answer that is said alone counts nothing: 有个红的，403，没权限."""
_GRANTED: Final = re.compile("(?:权限|chmod)[^。]{0,14}$")
"""What bits are granted, figure by figure: 权限给755."""
_STORED: Final = re.compile("(?:Xm[xs]|[内显运缓]存|硬盘|磁盘|流量|堆|swap)[^，。]{0,12}$")
"""Beside these a small g is no gram: 内存4g."""
_PORTS: Final = re.compile("(?:-p|端口(?:映射)?[成为到是：:]?|映射[成为到]?)\\s?$")
"""What two ports stand after: -p 8080:80."""
_SCORE: Final = re.compile(
    "(?:比分[^，。；\\d]{0,6}|以|比数|局分|总分|场|局|盘|节|(?:战|打|追|扳|改写)成|改写为|[追扳]至|扩大到|点球大战|点球|(?:领|先|落|胜|负|平|赢|输)后?|逼平|战平|暂时)\\s?$"
)
_OPEN: Final = re.compile("(?:[日夜早晚午专连加返]场|[开入进散离退到清]场|营业时间|直播|转播)[是为在：:]?\\s?$")
"""What has a time and no score: 夜场19:30."""
_CLOCK_ENDS: Final = "(?=左右|许|[，。、）)；]|[发到开]|出[发现]|至|前|后|的|$)"
"""What follows 分 or 时 that is written after 19:32 and not said twice."""
_TRAVELLING: Final = re.compile("(?:飞行|行车|运行|车程|航程)(?:时间|时长)?(?:约?为?|是|[:：])?$")
"""What takes hours and minutes: 飞行时间2:35."""
_PLAYED: Final = re.compile("处(?![理于罚分在置])|/公里|每公里|/km")
"""After a place of a recording and a pace: 03:15处, 5:12/公里."""
_NTH: Final = re.compile("第[一二三四五六七八九十\\d]{1,2}场[是为在：:]?\\s?$")
_ENDS: Final = re.compile("(?:左右|前|后|才|就|全部)?(?:结束|收官|告终)")
_UNTIL: Final = re.compile(
    rf"(?:{_TO}|[至到])(?:[01]?\d|2[0-4])[:：][0-5]\d(?!\d)|\s?(?:[(（]?北京时间|准时|正式|开[赛打播始场放门售]|入场|检票|起飞|发车)"
)
_LABELLED_NEXT: Final = re.compile(r"\s?(?:号|栋|幢|单元|室|楼|线|型|系列|款|版)")
_SCORE_NEXT: Final = re.compile(
    rf"\s?(?:[大险惜完横轻再]?[胜负败赢输]|[获取]胜|[大小]?逆转|击败|战[胜平]|力克|领先|落后|淘汰|绝杀|逼平|打平|横扫|"
    rf"拿下|告负|失利|的?[大总]?比分|不敌|"
    rf"平(?![均台方时安常原板凡稳分])|告终|结束|收官|[{HANZI}]{{1,6}}队)"
)
_SCALED_NEXT: Final = re.compile("的?(?:[一-鿿]{0,4}(?:沙盘|车模|模型|手办|复刻|图纸|地形图)|比例)")
"""What is made to a scale: 1:20的沙盘."""
_RATIO: Final = re.compile(
    "(?:比例尺?|[配占对]?比|比[率值]|按照?|赔率|[勾]?兑|稀释|混合|宽高)(?:大概|大约|差不多)?[是为约]?\\s?$"
)
_LASTING: Final = re.compile(
    "(?:时长|用时|耗时|片长|历时|成绩|配速|全程|时间仅|[还只仅]剩(?:下|余)?|剩余|每隔|倒计时|(?:结束|终场)前|读秒|[跑游骑划走]出?了|花了|耗费|马拉松|[半全]马|[跑游]进|PB|最好成绩|[世亚]界纪录|纪录)[是为约以]?\\s?$"
)
_LASTING_NEXT: Final = re.compile("的?(?:成绩|用时|时间(?:完成|跑完|夺)|完赛|夺冠|冲线|跑完|撞线|夺魁|摘金)")
_NO_POINTS: Final = "[钟\\d音法厂部店队会行院局校类频位度辨贝线制期]|公司|之(?![差优])"
"""What after 2分 makes it no points: 2分钟, 2分店."""
_NO_COUNT: Final = re.compile("(?:[第点A-Za-z\\d.·:：/-]|(?<!小)时)\\s?$")
_CARD: Final = re.compile(
    "(?:显卡|[NA]卡|GPU)(?:[从是用换买上装了成为的到至：:]*|[^，。]{0,12}升级?到)$"
    "|(?:[一两几双单\\d][张卡]|\\d{2}[Gg][Bb]?)的?$"
)
_CARD_NEXT: Final = re.compile(r"\s?(?:显卡|(?:[Tt][Ii]|S(?:UPER|uper))(?![A-Za-z])|(?:升级到|[和与])\s?[1-5]0[5-9]0)")
"""What stands beside the number of a graphics card: 3060显卡, 从3060升到4060."""
_SPAN_BEFORE: Final = re.compile("[约近超有过达历长]$")
_SPAN_NEXT: Final = re.compile("年(?:前|的?历史|的?文明|多|以前|之久)")
_OLD: Final = re.compile("(?:公元前?|前)$")
_REIGNED: Final = re.compile(
    "(?:[民建]国|公元前?|前|昭和|平成|令和|大正|明治|康熙|雍正|乾隆|嘉庆|道光|"
    "咸丰|同治|光绪|万历|贞观|开元|建安|[第满过近约超]|\\d)$"
)
"""What counts years, so that 25年 are no 2025: 民国25年3月."""
_HALF_KNOWN: Final = re.compile("(?:[上下中]午|早上?|晚上?|凌晨|傍晚|明早|今晚|深夜)\\s?$")
_WARMTH_NEXT: Final = re.compile(rf"{_N}(?:(?:{_TO}|[到至])-?{_N})?\s?(?:°|度|摄氏)")
_SHARE_NEXT: Final = re.compile(rf"{_N}\s?(?:%|‰|[千百]?[万亿]|元|分|dB)")
_NEGATIVE: Final = re.compile(
    "(?:[为是到至达于约值额温得分化比负收回报的拔]|等于|同比|环比|增长|涨跌幅?|变动|增速|现在|目前|温度|只有|光衰|电平|强度|返回|(?:错误|退出|返回|状态)码)$"
)
_NAME_BEFORE: Final = re.compile(f"[{HANZI}]$")
_DATED: Final = re.compile("(?:[今明昨后]天|预计|截[止至]|日期|时间|定[在于]|将于|[于从至到])[:：]?\\s?$")
_DATED_NEXT: Final = re.compile(
    r"\s?(?:[到发]货|上线|上映|截止|开[始售卖业学]|妇女节|情人节|是?[^，。\\d/]{0,5}节|见面|见|交|前|之前|回来|出发|考试|过期|生效|[(（]?(?:周[一二三四五六日]|星期)|[晚早]|[上下中]午|\d{1,2}[:：点])"
)
_CHANGED: Final = re.compile("(?:[升降涨减增跌加缩占达高少低][到至]|不到|\\d/\\d{1,2}[到至])$")
_CHANGED_NEXT: Final = re.compile("[升降涨减增跌提下上缩]")
"""Beside shares that change: 从1/3升到2/3."""
_SHARED_NEXT: Final = re.compile(r"\s?(?:的|是|为|左右|以上|=|杯|英?寸|$)")
_CHAT: Final = re.compile("(?:^|[，。！？、~～…“”\\s]|[哈啊呀了吧呢哦嘛啦的拜])$")
_PRAISED: Final = re.compile(
    "(?:操作|这[波把手]|技术|直接|简直|属实|真是?|[扣刷]|弹幕|满屏|一片|老铁|大佬|主播)(?:都是|全是)?\\s?$"
)
"""666 after these is praise: 这波操作666."""
_CHAT_NEXT: Final = re.compile(
    "$|[，。！？~～…”\\s]|快乐|啊|了|的?礼物|表白|那天|这天|当天|情人节|红包|活动|笑|牛|真|太"
)
_NO_QUANTITY: Final = re.compile("(?:第|[月年周初负]|地下|[A-Za-z])$")
"""After these 2 counts nothing: 第2个, 24H2起."""
_EQUALS_NEXT: Final = re.compile(r"\s?=")
_TENS_OF_THOUSANDS: Final = re.compile(
    "(?:年薪|月入|年入|收入|工资|奖金|总包|存款|首付|彩礼|预算|粉丝?|粉丝数|播放量?|阅读量?|浏览量?|点赞|销量|流水|营收|赚|亏|花|欠|借)"
    "[了到过近约超破达是为有]{0,2}\\s?$"
)
"""What is counted in 万, for which people write W: 年薪20W+."""
_SEATS: Final = frozenset("ANJr")
"""Letters that are more often a seat's, a grade's or a name's than a unit."""
_FORCE_NEXT: Final = re.compile("的?(?:[拉推压浮阻摩]?力|电|插|保险|空开|能|功|热)")
_FORCE: Final = re.compile(r"(?:[力流载险丝能功热量]|\dV[、/,， ]?)[为是约达]?\s?$")
_LATIN_BEFORE: Final = re.compile(r"[A-Za-z]\s?$")
_POWER_NEXT: Final = re.compile("的?(?:[有无]线)?(?:快充|闪充|超充|充电|供电|适配器|电源)")
_TEXT_NEXT: Final = re.compile(rf"\s?(?:[{HANZI}，。；、）)！？：]|$)")
_NUMBERED_NEXT: Final = re.compile("型|期|级|类|卷|章|部|届|世|阶段|度|相|号|代|区")
_SEQUELS: Final = frozenset("II III IV VI VII VIII IX XI XII XIII XIV XV XVI".split())
_SERIES: Final = re.compile("[一-鿿]{2}\\s?$|(?:[A-Z][a-z]+|[A-Z]{3,5})\\s$")
"""What has parts or follow-ups: 文明VI, SATA III, GTA VI."""
_RANGED: Final = re.compile(
    "(?:^|[^A-Za-z\\d])\\d++[A-Za-z]{0,2}\\s?$|[年月日号点时分秒%度元CF午个天米克一二三四五六七八九十]\\s?$"
)
_WEEKDAY: Final = re.compile("(?:周|星期|礼拜)[一二三四五六日天]\\s?$")
_SCALES: Final = {"kg": "公斤", "KG": "公斤"}
_PRICED: Final = re.compile(r"[¥$€£]\s?[\d.,]++$")
_NAMED_YEAR: Final = re.compile("[A-Za-z]{3,} $")
_PAID_FOR: Final = re.compile(f"\\d(?:[元块]|美元)(?:起|/[{HANZI}]{{1,3}})$")
"""What is paid, and for what, where another slash says for how long: 30元/位/小时."""
_PAID: Final = re.compile("(?:[\\d百千万亿零一二三四五六七八九十两]\\s?[元块角分]|美元)\\s?$")
"""What is paid for something that is written in Latin letters: 3元/GB."""
_OPERAND: Final = re.compile(r"[\w)）%]\s?$")

_SIZE: Final = re.compile("(?<![A-Za-z])(?:X{0,4}[SL]|M|[二三四五六七八九\\d]X{1,2}L)$")
"""The lower end of sizes: S-XL."""
_WRITTEN: Final = re.compile("(?:[用是成写为和或改]|运算符)[了个]?\\s?[\"“‘'「]?$")
"""After these a sign is spoken of: 用>=而不是>."""
_PLACED: Final = (
    "川藏|青藏|滇藏|新藏|室|房间|号房|房(?!子|屋|价)|宿舍|教室|病房|包间|包厢|国道|省道|县道|医院|次列车|次航班|次高铁|次动车|航班|列车|"
    "路公交|路车|客机|高校|工程|端口|中学|厂|艺术区|部队|高地|"
    "分机|内线|战机|错误|页面|网关|报错|战士|医科|会议室|办公室|实验室|诊室|号包间|号机房"
)
_KNOWN: Final = {
    "985": "九八五", "211": "二幺幺", "996": "九九六", "12306": "幺二三零六", "12315": "幺二三幺五",
    "10086": "幺零零八六",
    "18650": "一八六五零",
    "911事件": "九幺幺事件", "315打假": "三幺五打假", "618": "六幺八", "315晚会": "三幺五晚会",
}  # fmt: skip
"""Numbers that are names: universities, working hours, hotlines, a sale."""
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
_TICKED: Final = re.compile("[打画划][了上个一“]{0,2}$")
_SAID_BEFORE: Final = re.compile(rf"[{HANZI}\dA-Za-z”》」）)%]\s?$")
_EQUATION: Final = re.compile(rf"[=＝等于][{HANZI}+×÷（）()\-]{{1,20}}$")
_MENU: Final = re.compile(
    rf"(?:[<>]\s?[{HANZI}]{{1,10}}|设置|首页|主页|菜单|中心|管理|系统|工具|文件|编辑|视图|帮助|选项|我的|更多|通用|分类|专区|频道|页面?|装|类|馆|区|栏|路径[:：].*)\s?$"
)
"""Steps of a path, whose > is no comparison: 设置>通用, 首页>女装."""
_CHAINED: Final = {".": "点", ":": "比", "+": "加", "*": "乘", "=": "等于", ",": "、", "/": "、"}


def say(text: str, changes: list[Change], seen: str | None = None, at: int = 0, end: int | None = None) -> str:
    """The stretch of the text with its figures and symbols said in Chinese. No ASCII digit is left.

    `seen` is the text in simplified characters, for which the rules are written.
    """
    return _table().say(text, changes, seen, at, end)


def _number(text: str) -> str:
    plain = text.replace(",", "") if "," in text else text
    return zh_cardinal(plain) if "." not in plain else zh_number(plain)


def _counted(number: str, match: Match) -> str:
    """A number before what it counts: 2 is 两 there."""
    return "两" if number == "2" and after(match, _COUNTED_NEXT) else _number(number)


def _serial(digits: str) -> str:
    """The figures of a name: B12 is 十二 and A300 三百, but C919 is 九一九."""
    rounds = digits.endswith("00" if len(digits) < 5 else "000")
    return zh_cardinal(digits) if len(digits) < 3 or rounds else zh_digits(digits)


def _letters(letters: str) -> str:
    """The letters of a code, apart where they would be a word: MU5102, BE200."""
    return " ".join(letters) if letters in _WORDS else letters


_WORDS: Final = frozenset("AM AN AS AT BE BY DO GO HE HI HU IF IN IS IT ME MU MY NO OF ON OR SO TO UP US WE".split())


def _standard(match: Match) -> str:
    """A national standard: GB/T 19001-2016."""
    year = f"杠{zh_digits(match[4])}" if match[4] else ""
    return f"{match[1]} {match[2]} {zh_digits(match[3].replace('.', '点'))}{year}"


def _part(digits: str) -> str:
    return zh_cardinal(digits) if len(digits) < 3 else zh_digits(digits)


def _version(match: Match) -> str:
    """V1.12 is 一点十二, but V591.74 says its figures one by one."""
    parts = match[1].split(".")
    return "V" + "点".join(map(zh_digits if len(parts[0]) > 2 else _part, parts))


def _chain(match: Match) -> str:
    parts = re.split(r"(\D+)", match.group())
    return "".join(_part(part) if part.isdigit() else _CHAINED.get(part, " ") for part in parts)


def _date(match: Match) -> str:
    return f"{zh_digits(match[1])}年{zh_number(match[2].lstrip('0'))}月{zh_number(match[3].lstrip('0'))}日"


def _year_month(match: Match) -> str | None:
    if before(match, _CODE_BEFORE):
        return None
    return f"{zh_digits(match[1])}年{zh_number(match[2].lstrip('0'))}月"


def _year_last(match: Match) -> str | None:
    month, day = sorted((int(match[1]), int(match[2]))) if int(match[1]) > 12 else (int(match[1]), int(match[2]))
    if month > 12:
        return None
    return f"{zh_digits(match[3])}年{zh_cardinal(str(month))}月{zh_cardinal(str(day))}日"


def _month_and_day(match: Match) -> str | None:
    """5/20 where the words around it speak of a day, or 11/25, which no fraction is; elsewhere it is a fraction."""
    unlike = len(match[1]) == 2 and int(match[1]) < int(match[2]) and not after(match, _SHARED_NEXT)
    shared = before(match, _CHANGED) or after(match, _CHANGED_NEXT)
    dated = unlike or after(match, _DATED_NEXT) or (before(match, _DATED) and not shared)
    return f"{zh_cardinal(match[1])}月{zh_cardinal(match[2])}日" if dated else None


def _days(match: Match) -> str | None:
    """5/1-5/5: days, if they follow one another."""
    first, last = (int(match[1]), int(match[2])), (int(match[3]), int(match[4]))
    if first >= last:
        return None
    return "到".join(f"{zh_cardinal(str(month))}月{zh_cardinal(str(day))}日" for month, day in (first, last))


def _years(match: Match) -> str | None:
    first, word, last = match[1], match[2] or "", match[4]
    if int(first) >= int(last):
        return None
    return f"{zh_digits(first)}{word.strip()}{_to(match[3])}{zh_digits(last)}"


def _year(match: Match) -> str | None:
    digits = match[1]
    if len(digits) == 4:
        spans = digits.endswith("00") and (after(match, _SPAN_NEXT) or before(match, _SPAN_BEFORE))
        if spans or digits[0] in "3456789" or (digits.endswith("000") and digits != "2000"):
            return None
    elif len(digits) == 3 and not before(match, _OLD):
        return None
    return zh_digits(digits)


def _clock(match: Match) -> str | None:
    hour, minute, second, half = match[1], match[2], match[3], match[4]
    lasting = bool(second) and after(match, _LASTING_NEXT)
    if not lasting and (before(match, _RATIO) or after(match, _SCALED_NEXT)):
        return None
    if not lasting and not _is_time(match) and (before(match, _SCORE) or after(match, _SCORE_NEXT)):
        return None
    if lasting or before(match, _LASTING) or after(match, _PLAYED):
        return _length([int(part) for part in (hour, minute, second) if part])
    if not second and before(match, _TRAVELLING):
        return _length([int(hour), int(minute), 0])
    said = _hour(hour, half, match)
    if int(minute) or second:
        said += ("零" if minute[0] == "0" and int(minute) else "") + zh_cardinal(str(int(minute))) + "分"
    if second:
        said += ("零" if second[0] == "0" and int(second) else "") + zh_cardinal(str(int(second))) + "秒"
    return said


def _day_and_night(match: Match) -> str:
    """What is warm by day and by night: 12/20℃, 3/-5℃."""
    return f"{_number(match[1])}到{'零下' if match[2] else ''}{_number(match[3])}摄氏度"


def _length(parts: list[int]) -> str:
    """A length of time: [2, 35] is 两分三十五秒, [0, 59] is 五十九秒, [12, 0] is 十二分钟."""
    pairs = [*zip(parts, ("小时", "分", "秒")[-len(parts) :], strict=True)]
    while len(pairs) > 1 and not pairs[-1][0]:
        pairs.pop()
    while len(pairs) > 1 and not pairs[0][0]:
        pairs.pop(0)
    said = "".join(zh_cardinal(str(part)) + mark for part, mark in pairs) + "钟" * (pairs[-1][1] == "分")
    return "两" + said[1:] if said.startswith(("二小时", "二分")) else said


def _is_time(match: Match) -> bool:
    """Whether a:b is no score whatever stands beside it: 夜场19:30, 首场9:05, 第二场19:35, 9:30结束."""
    whole = match[2][0] == "0" or (match[2][1] in "05" and (before(match, _NTH) or after(match, _ENDS)))
    return whole or before(match, _OPEN) or after(match, _UNTIL)


def _hour(hour: str, half: str | None, match: Match) -> str:
    said = ("两" if int(hour) == 2 else zh_cardinal(str(int(hour)))) + "点"
    if half is None or before(match, _HALF_KNOWN):
        return said
    return ("上午" if half in "Aa" else "下午") + said


def _ratio(match: Match) -> str:
    return "比".join(_number(part) for part in re.split(r"\s?[:：∶]\s?", match.group()))


def _phone(match: Match) -> str:
    return zh_digits(re.sub(r"\D", "", match.group().removeprefix("+86")), "幺")


def _identity(match: Match) -> str:
    return zh_digits(match[1], "幺") + (" X" if match[2] in "Xx" else zh_digits(match[2], "幺"))


def _code(match: Match) -> str | None:
    counts = after(match, _MEASURE_NEXT) and match[1][0] != "0"
    return zh_digits(match[1], "幺") if not counts and before(match, _CODE_BEFORE) else None


def _grouped(match: Match) -> str:
    """Figures in groups: 12-3-501 has dashes, 123-456-789 and 4-4-2 have pauses at most."""
    groups = re.split("[- ]", match.group())
    if all(len(group) == 1 for group in groups):
        return zh_digits("".join(groups))
    joint = " " if len({len(group) for group in groups}) == 1 or " " in match.group() else "杠"
    return joint.join(zh_digits(group, "幺") for group in groups)


def _spelled(code: str) -> str:
    return "".join(zh_digits(char) if char.isdigit() else f" {char} " for char in code)


def _scores(match: Match) -> str | None:
    """11-7、9-11、11-5: one falls, so all are scores."""
    games = [re.split("[-–:：]", game) for game in re.findall(r"\d+[-–:：]\d+", match.group())]
    falls = any(int(low) > int(high) for low, high in games)
    if not (falls or before(match, _SCORE) or after(match, _SCORE_NEXT)) or after(match, _MEASURE_NEXT):
        return None
    return re.sub(r"\d+", lambda figure: zh_cardinal(figure.group()), re.sub("[-–:：]", "比", match.group()))


def _games(match: Match) -> str | None:
    """25:19、25:22和15:13: where one is no time of day, or they do not rise, all are scores.

    So are 13:21、21:17、21:19, each of them won with 21 points, now by the one and now by the other.
    """
    games = [*map(re.Match.groups, re.finditer(r"(\d+)[:：](\d+)", match.group()))]
    clocks = all(int(hour) < 24 and len(minute) == 2 and int(minute) < 60 for hour, minute in games)
    times = [int(hour) * 60 + int(minute) for hour, minute in games]
    if any(len(minute) == 2 and minute[0] == "0" for _, minute in games):
        return None
    won = {max(int(ours), int(theirs)) for ours, theirs in games}
    alike = len({int(ours) > int(theirs) for ours, theirs in games}) == 2 and won in ({11}, {21}, {25})
    rises = (
        clocks and times == sorted(times) and not alike and not before(match, _SCORE) and not after(match, _SCORE_NEXT)
    )
    if rises or before(match, _RATIO):
        return None
    return re.sub(r"\d+", lambda figure: zh_cardinal(figure.group()), re.sub("[:：]", "比", match.group()))


def _dive(match: Match) -> str | None:
    """A dive by its number: 207C, 5253B. B and A are units too, so that diving must be near."""
    if match[2] in "AB" and not before(match, _DIVING) and not after(match, _DIVE_NEXT):
        return None
    return f"{zh_digits(match[1])} {match[2]}"


def _dialled(match: Match) -> str:
    """What is dialled for a telephone's own services: *#06#."""
    return "".join(_NAMED.get(char) or zh_digits(char, "幺") for char in match.group())


def _festival(match: Match) -> str:
    """11.11 is 双十一, 6.18 六幺八, 5.1 五一."""
    month, day = match[1], match[2]
    if month == day and len(day) == 2:
        return f"双{zh_cardinal(day)}"
    return zh_digits(month + day, "幺") if len(day) == 2 else zh_cardinal(month) + zh_cardinal(day)


def _service(match: Match) -> str | None:
    called = before(match, _CALLED) or after(match, _CALLED_NEXT)
    called = after(match, _HOTLINE_NEXT) or (called and not after(match, _NOT_CALLED_NEXT))
    return zh_digits(match[1], "幺") if called else None


def _chat(match: Match) -> str | None:
    """520, 2333, 666: what people mean by their sound, at the start of something said."""
    praised = match.group().startswith("666") and before(match, _PRAISED)
    if not (praised or before(match, _CHAT)) or after(match, _MEASURE_NEXT):
        return None
    sure = match.group().startswith(("233", "1314", "1551")) or len(match.group()) > 3
    return zh_digits(match.group()) if sure or after(match, _CHAT_NEXT) else None


def _long(match: Match) -> str | None:
    counts = after(match, _MEASURE_NEXT) and match[1][0] != "0" and len(match[1]) < 16
    return None if counts else zh_digits(match[1])


def _money(match: Match) -> str:
    sign, low, high, scale, letter = match[1], match[2], match[3], match[4] or "", match[5]
    if letter:
        said = _scaled(low, letter) + (f"到{_scaled(high, letter)}" if high else "")
    else:
        said = _price(low) + (f"到{_price(high)}" if high else "")
        said = "两" if said == "二" and scale else said
    return said + scale + _CURRENCY[sign]


def _scaled(number: str, letter: str) -> str:
    """1.5B → 十五亿, 2.5M → 二百五十万."""
    whole, _, rest = number.replace(",", "").partition(".")
    value = int(whole + rest[: _ZEROS[letter]].ljust(_ZEROS[letter], "0"))
    for scale, worth in (("亿", 10**8), ("万", 10**4)):
        if value >= worth and value * 100 % worth == 0:
            return zh_number(f"{value / worth:g}") + scale
    return zh_cardinal(str(value))


def _price(number: str) -> str:
    """A sum of money; cents that are nought are not said, nor is the last nought of 3.50."""
    whole, point, cents = number.replace(",", "").partition(".")
    cents = cents.rstrip("0")
    return zh_number(whole + (point + cents if cents else ""))


def _percents(match: Match) -> str:
    name = "百分之" if match[6] == "%" else "千分之"
    low = name + _number(match[1])
    return f"{low}{_to(match[3])}{'负' if match[4] else ''}{name}{_number(match[5])}"


def _to(written: str) -> str:
    """至 stays; a dash is 到."""
    return "至" if written == "至" else "到"


def _negative(match: Match) -> str | None:
    """A minus sign, or the hyphen of a name: 气温-5℃, 降到-5度, 利润-3%, but 歼-20 and 东风-41."""
    if after(match, _WARMTH_NEXT):
        return "" if match.string.endswith("零下", 0, match.start()) else "零下"
    if before(match, _NAME_BEFORE) and not before(match, _NEGATIVE) and not after(match, _SHARE_NEXT):
        return ""
    return "负"


def _range(match: Match) -> str:
    """3-5天, 2-3个; but 4-1获胜 is a score, and 10-4=6 a subtraction."""
    low, high = match[1], match[2]
    if after(match, _EQUALS_NEXT):
        return f"{_number(low)}减{_number(high)}"
    if low.isdigit() and high.isdigit():
        falls = len(low) < 4 and int(low) >= int(high[:4])  # a range rises
        if match.string.endswith("满", 0, match.start()):
            return f"{_number(low)}减{_number(high)}"  # 满300-50
        if falls and after(match, _LABELLED_NEXT):
            return f"{_number(low)}杠{_number(high)}"  # 5-3号楼
        if after(match, _SCORE_NEXT) or ((falls or before(match, _SCORE)) and not after(match, _MEASURE_NEXT)):
            return f"{_number(low)}比{_number(high)}"
    return f"{_low(low, match)}到{_counted(high, match)}"


def _low(number: str, match: Match) -> str:
    """The lower end of a range: 第2-3名 is 二, 2-3名 is 两."""
    return _number(number) if match.string.endswith("第", 0, match.start()) else _counted(number, match)


def _fraction(match: Match) -> str:
    whole, over, under = match[1], match[2], match[3]
    if after(match, _EQUALS_NEXT):
        return f"{_number(over)}除以{_number(under)}"
    if int(over) > int(under):
        return f"{_number(over)}、{_number(under)}"  # 120/80: blood pressure, not a fraction
    said = f"{zh_cardinal(under)}分之{zh_cardinal(over)}"
    return f"{zh_cardinal(whole)}又{said}" if whole else said


def _measure(match: Match) -> str | None:
    """A number, or a range of numbers, and its unit: 5km, 10~20°C, 3亿kWh, 35μg/m^3, 80mg/100mL."""
    low, between, high, scale, unit, many, per = match.groups()
    alone = len(unit) == 1 and unit.isascii() and not per and not high and not scale
    named = before(match, _LATIN_BEFORE) or (" " in match.group() and not after(match, _TEXT_NEXT))
    if alone and named and not after(match, _POWER_NEXT):
        return None  # iPhone 5s, Model 3 s; but PD 65W快充
    if alone and unit in _SEATS and "." not in low and not before(match, _FORCE) and not after(match, _FORCE_NEXT):
        return None  # 12A is a seat
    said = "两" if low == "2" and (scale or unit[0] != "°") else _number(low)
    if high:
        minus = "" if high[0] != "-" else "零下" if unit[0] == "°" else "负"
        first = units.in_mandarin(between) if between and between != unit else ""
        said = f"{_number(low)}{first}到{minus}{_number(high.lstrip('-'))}"
    said += (scale or "") + units.in_mandarin(unit)
    if not per:
        return said
    return f"{said}每{_number(many) if many else ''}{per if _HANZI_NEXT.match(per) else units.in_mandarin(per)}"


def _model(match: Match) -> str | None:
    """RTX 4090, HTTP 404, Room 101: a name's number of three or four figures is read figure by figure."""
    if after(match, _MODEL_ENDS) or (len(match[2]) == 4 and match[2][:2] in {"19", "20"}):
        return None
    if match[1] in _COUNTED_VERSIONS:
        return f"{match[1]} {zh_cardinal(match[2])}"
    return f"{match[1]} {zh_digits(match[2]) if match[1] == 'HTTP' else _serial(match[2])}"


def _roman(match: Match) -> str | None:
    value = roman(match[1])
    placed = match.string.endswith("第", 0, match.start()) or after(match, _NUMBERED_NEXT)
    placed = placed or (match[1] in _SEQUELS and before(match, _SERIES))
    return zh_cardinal(str(value)) if value is not None and placed else None


def _plain(match: Match) -> str:
    text = match.group()
    if text == "2" and after(match, _COUNTED_NEXT) and not before(match, _NO_QUANTITY):
        return "二" if after(match, _DONE_NEXT) and before(match, _KEYED) else "两"
    if len(text) == 4 and text.endswith("00") and not after(match, _ROUND_YEAR_NEXT):
        return _number(text)
    modern = len(text) == 4 and text[:2] in {"19", "20"} and text.isdigit()
    if modern and before(match, _NAMED_YEAR) and not after(match, _MEASURE_NEXT):
        return zh_digits(text)  # NeurIPS 2023
    modern = modern and after(match, _HANZI_NEXT)
    if modern and (after(match, _CLASS_NEXT) or not after(match, _MEASURE_NEXT)):
        return zh_digits(text) if not match.string.endswith("第", 0, match.start()) else _number(text)
    return _number(text)


def _few(match: Match) -> str | None:
    """2、3个: two or three of them."""
    low, high = match[1], match[2]
    if match.string.endswith("第", 0, match.start()):
        return None
    return ("两" if low == "2" else zh_cardinal(low)) + zh_cardinal(high) if int(high) == int(low) + 1 else None


def _operator(match: Match) -> str | None:
    """A sign between operands: x=3, a<b."""
    return _SYMBOLS[match[1]] if before(match, _OPERAND) else None


def _power(match: Match) -> str:
    names = {"2": "的平方", "3": "的立方"}
    said = names.get(match[1]) or f"的{zh_number(match[1])}次方"
    unit = units.in_mandarin(match[2]) if match[2] else ""
    return said + unit + (f"每{units.in_mandarin(match[3])}" if match[3] else "")


@cache
def _table() -> Table:
    ornament = "|".join(f"{re.escape(mark)}{{3,}}+" for mark in "=*_#+~^|<>@&%$/\\`-")
    half = r"([AaPp])\.?[Mm]\.?(?![A-Za-z])"
    plate = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"
    mobile = r"86[- ]?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"
    money = (
        rf"((?:US|HK|NT|AU?|CA?|S)?\$|[¥€£₩₹₽]|{_MONEY_CODE})\s?({_N})(?:{_TO}[¥$€£]?({_N}))?"
        rf"(?:\s?(?:({_SCALE})|(bn|[KkMBb])(?![A-Za-z])))?(?:\s?(?:{_MONEY_WORD}))?"
    )
    per = rf"(?:/({_N}(?=(?:[mdμ]?[Llg]|k[gm]|m|cm|min|h|s)(?![A-Za-z])))?({_UNIT}|{_PER}))?"
    scale = rf"({_SCALE})?\s?"
    figures = [
        Rule("code", r"\d++(?:[-:./, +*=_~x][ ]?\d++){24,}+", _chain, next=" -.,/:a"),
        Rule("list", r"(?<![^\n])(\d{1,2})[.)）．](?!\d|[xX](?![A-Za-z]))\s*+(?=.)|(\d{1,2})\.(?=\s?[一-鿿])",
             lambda m: zh_cardinal(m[1] or m[2]) + "、", next="h.a"),
        # dates
        Rule("date", r"([12]\d{3})[-/.](1[0-2]|0?[1-9])[-/.](3[01]|[12]\d|0?[1-9])(?!\d|[-/.]\d)(?:T(?=\d\d:))?",
             _date, next="-/."),
        Rule("date", r"(3[01]|[12]\d|0?[1-9])/(3[01]|[12]\d|0?[1-9])/((?:19|20)\d\d)(?![\d/])", _year_last, next="/"),
        Rule("date", r"([12]\d)/(0[1-9]|1[0-2])/(0[1-9]|[12]\d|3[01])(?![\d/])",
             lambda m: f"{zh_digits(m[1])}年{_number(m[2].lstrip('0'))}月{_number(m[3].lstrip('0'))}日", next="/"),
        Rule("unit", r"(\d{1,2})/(-?)(\d{1,2})\s?(?:°C|°|度)(?![A-Za-z])", _day_and_night, next="/"),
        Rule("date", r"((?:19|20)\d\d)[-/.](0[1-9]|1[0-2])(?![\d.]|[-/]\d|\s?[元%万亿倍米])", _year_month, next="-/."),
        Rule("date", r"((?:19|20)\d\d)[-/](\d\d)(?=\s?(?:赛季|学年|财年|年度))",
             lambda m: zh_digits(m[1] + m[2]), next="-/"),
        Rule("date", rf"(\d{{4}})(\s?年)?({_TO}|至|到)(\d{{4}})(?=\s?(?:年|学年|赛季|届|财年))", _years, next="h -a"),
        Rule("date", rf"((?:19|20)\d\d)()({_TO})((?:19|20)\d\d)(?![\d.元万亿:-])", _years, next=" -"),
        Rule("date", rf"(\d{{3}})(?=年?{_TO}\d{{3,4}}年)|(?<=年[-~～–—])(\d{{3}})(?=年)",
             lambda m: zh_digits(m.group()), next="h -"),
        Rule("date", rf"{_DAY_OF_YEAR}(?:{_TO}|[到至]){_DAY_OF_YEAR}(?![\d/]|\.\d)",
             _days, next="/"),
        Rule("date", r"(1[0-2]|[1-9])/(3[01]|[12]\d|[1-9])(?![\d/]|\.\d|\s?(?:秒|英寸|英里|小时|分钟))",
             _month_and_day, next="/"),
        Rule("date", r"(\d{3,4}|0\d|[5-9][1-9])(?=\s?年(?!代|级|后|来|内|间|的历史|以|前))", _year, next="h "),
        Rule("date", rf"(\d\d)(?=年(?:\s?(?:1[0-2]|0?[1-9])月(?!{_TO}?\d*个)|春节|国庆|五一|中秋|元旦|"
             r"双十|高考|春招|秋招|校招|[底初]|[上下]半年|第?[一二三四1-4]季度|Q[1-4]|[春夏秋冬]季?[,，。]|款|版))",
             lambda m: None if before(m, _REIGNED) else zh_digits(m[1]), next="h"),
        Rule("date", r"(\d\d)[-/](\d\d)(?=\s?(?:赛季|学年|财年))", lambda m: zh_digits(m[1] + m[2]), next="-/"),
        Rule("date", r"([12]\d{3})(?=年(?:前|后|来|间|以))", _year, next="h"),
        Rule("date", r"((?:19|20)\d\d)(?=\s?(?:Q[1-4]|H[12])(?![A-Za-z\d]))", lambda m: zh_digits(m[1]), next=" a"),
        Rule("date", r"(?<=[〔\[\(（])((?:19|20)\d\d)(?=[〕\])）])", lambda m: zh_digits(m[1]), next="ha"),
        Rule("date", r"0([1-9])(?=\s?(?:[月日]|号(?![柜格桌楼线门窗机台房库仓牌车厅馆位舱车箱])))",
             lambda m: zh_cardinal(m[1]), next="h "),
        Rule("date", r"(\d{1,2})[·•.](\d{1,2})(?=\s?(?:事件|事变|运动|大?地震|惨案|革命|恐怖|袭击))",
             lambda m: zh_digits(m[1] + m[2], "幺"), next=".a"),
        Rule("date", r"(?<!第)(\d{1,2})[.·](\d{1,2})(?=小?长?假期?|黄金周|劳动节|国庆|大促|购物|狂欢|促销|年中|晚会|"
             r"妇女节|女[神生王]节)", _festival, next=".a"),
        Rule("date", r"(\d{1,2})·(\d{1,2})(?!\d)", lambda m: zh_digits(m[1] + m[2]), next="a"),
        Rule("date", r"(00|05|10|50|60|70|75|80|85|90|95)(?=后(?!面|续|来|天|半|卫|台|期|备|果|代|\d(?![05]后)))"
             r"|(00)(?=年代)",
             lambda m: zh_digits(m.group()), next="h"),
        # the clock
        Rule("time", r"(\d{1,2})分([0-5]?\d)秒(\d{1,3})(?![\d.]|\s?[年月日个元万人])",
             lambda m: ("两" if m[1] == "2" else zh_cardinal(m[1])) + f"分{zh_cardinal(m[2])}秒{zh_digits(m[3])}",
             next="h"),
        Rule("time", r"(?:(\d)[:：])?([0-5]?\d)[:：]([0-5]\d)\.(\d{1,3})(?![\d:.])",
             lambda m: (f"{zh_cardinal(m[1])}小时" if m[1] else "")
             + ("两" if int(m[2]) == 2 else zh_cardinal(str(int(m[2]))))
             + f"分{zh_cardinal(str(int(m[3])))}秒{zh_digits(m[4])}", next=":"),
        Rule("score", rf"{_GAME}(?:{_AND}{_GAME}){{1,8}}(?![\d:：.]|{_TO}\d)", _games, next=":"),
        Rule("time",
             rf"([01]?\d|2[0-4])[:：]([0-5]\d)(?:[:：]([0-5]\d))?(?!\d|[:：]\d)(?:\s?{half})?(?:[分时]{_CLOCK_ENDS})?",
             _clock, next=":"),
        Rule("time", rf"(1[0-2]|[1-9])\s?{half}", lambda m: _hour(m[1], m[2], m), next=" a"),
        Rule("time", r"(\d{1,2})'\s?(\d{1,2})(?:\"|'')",
             lambda m: f"{zh_cardinal(m[1])}分{zh_cardinal(m[2])}秒", next="a"),
        # telephone, identity and card numbers, rooms, roads
        Rule("telephone", rf"{mobile}|1[3-9]\d[- ]?\d{{4}}[- ]?\d{{4}}(?!\d)", _phone),
        Rule("telephone", r"(?:0\d{2,3}|400|800)[- ]\d{3,4}[- ]?\d{4}(?!\d)|[48]00\d(?:-?\d{3}){2}(?!\d)", _phone),
        Rule("telephone", r"(\d{1,6})\*{2,12}(\d{1,6}[Xx]?)(?!\d)",
             lambda m: f"{zh_digits(m[1], '幺')} {zh_digits(m[2], '幺')}", next="a"),
        Rule("telephone", r"\d{3,4}-\d{7,8}(?![\d.])", _phone, next="-"),
        Rule("telephone", r"(1[12]\d|12\d{3}|100\d\d|95\d{3})(?!\d|[.,:]\d)", _service),
        Rule("identity number", r"(\d{17})([\dXx])(?![\dA-Za-z])", _identity),
        Rule("card number", r"\d{4}(?:[ -]\d{4}){2,4}(?:[ -]\d{1,4})?(?!\d)",
             lambda m: zh_digits(m.group().replace("-", " "), "幺"), next=" -"),
        Rule("code", r"\d++(?:[- ]\d++){1,4}(?!\.\d)",
             lambda m: _grouped(m) if before(m, _CODE_BEFORE) else None, next=" -"),
        Rule("code", r"\d++(?:-\d++){2,4}(?![.-]?\d|\s?=)", _grouped, next="-"),
        Rule("code", r"(\d{3,}+)(?![.,]\d|%)", _code),
        Rule("code", r"(\d{2,5}):(\d{2,5})(?![\d:.])",
             lambda m: f"{zh_digits(m[1], '幺')}冒号{zh_digits(m[2], '幺')}" if before(m, _PORTS) else None, next=":"),
        Rule("number", r"(\d{1,3})(?=只(?:允许|支持|能|需|限|开放|接受|对))", lambda m: _number(m[1]) + " ", next="h"),
        Rule("code", r"955(?=香|双休|公司|工作制|的(?:公司|工作))", lambda m: "九五五"),
        Rule("number", rf"({_N})(?:e|E(?=-))(-?)(\d{{1,3}})(?![A-Za-z\d])",
             lambda m: f"{_number(m[1])} E {'负' if m[2] else ''}{_number(m[3])}", next=".a"),
        Rule("code", r"0x([\dA-Fa-f]{1,16})(?![A-Za-z\d])", lambda m: f"零 x {_spelled(m[1])}", next="a"),
        Rule("code", r"([1-5]\d\d)(?!\d|[.,]\d|%)",
             lambda m: zh_digits(m[1]) if before(m, _ANSWERED) and not after(m, _ROOM_ENDS) else None),
        Rule("code", rf"([1-5]\d\d)(?=\s?(?:{STATUS}))", lambda m: zh_digits(m[1]), next=" a"),
        Rule("code", r"(40[0134]|50[0234])(?!\d|[.,]\d|%)",
             lambda m: zh_digits(m[1]) if before(m, _FAILING) and not after(m, _ROOM_ENDS) else None),
        Rule("code", r"([0-7][0-7]{3}|[67][045]{2}|777)(?![\d.,:%])",
             lambda m: zh_digits(m[1]) if before(m, _GRANTED) else None),
        Rule("unit", r"(\d{1,3})g(?![A-Za-z\d])",
             lambda m: _number(m[1]) + " G" if before(m, _STORED) else None, next="a"),
        Rule("code", r"(30[1247]|40[134]|50[234])(?=\s?(?:[，。！？,!?了]|太多|状态|缓存|错误|$))",
             lambda m: zh_digits(m[1]) if before(m, _ALONE) else None, next="h ,a"),
        Rule("room", r"([1-9]\d?[0-4]\d)(?!\d|[.,:-]\d|%)(?<!00)",
             lambda m: zh_digits(m[1], "幺") if before(m, _ROOM_BEFORE) and not after(m, _ROOM_ENDS) else None),
        Rule("code", r"(?<=波音)(7\d7)-(\d00|\d\d?)(?!\d)",
             lambda m: f"{zh_digits(m[1])}杠{zh_cardinal(m[2])}", next="-"),
        Rule("code", SERIAL, lambda m: _spelled(m.group()), next="a"),
        Rule("code", r"([1-6]\d{2,3})([A-D])(?![A-Za-z\d])",
             _dive, next="a"),
        Rule("code", r"(\d{4,5})(?=(?:H[SX]?|XT?|KF|U)(?![A-Za-z\d]))|(1\d{4})(?=[KF](?![A-Za-z\d]))"
             r"|(\d{4})(?=X3D|\sXTX?(?![A-Za-z]))",
             lambda m: _serial(m.group()), next=" a"),
        Rule("code", r"(?<=宝马)(\d{3})(?!\d)", lambda m: zh_digits(m[1])),
        Rule("code", r"(\d{3})(?=[CDEHXYZ](?![A-Za-z\d]))", lambda m: _serial(m[1]), next="a"),
        Rule("code", rf"(\d{{3,5}})(?!\d)(?=\s?(?:{_PLACED}))|(\d{{3,4}})(?!\d)(?=路(?!程|途|口|费|线))",
             lambda m: zh_digits(m.group(), "幺")),
        Rule("code", r"(?<=[机空歼轰运直音客龙麟玑])(\d{2,4})(?![\d.,]|\s?(?:万|亿|个|元|人|年|架|台|岁|%))",
             lambda m: _serial(m[1])),
        Rule("code", r"(?:520|1314|1551|9494|233++|555++|666++|7777++|886?)(?!\d)",
             _chat),
        Rule("code", r"(\d{1,2})W-(\d\d)(?!\d)", lambda m: f"{zh_cardinal(m[1])} W {zh_cardinal(m[2])}", next="a"),
        Rule("code", r"(3U|8L|9C|9H)(\d{4})(?!\d)", lambda m: f"{zh_digits(m[1][0])} {m[1][1]} {zh_digits(m[2], '幺')}",
             next="a"),
        Rule("code", r"4\d{3}(?=阵型|站位|的阵)", lambda m: zh_digits(m.group()), next="h"),
        Rule("code", r"(95[35]\d\d)(?!\d|[.,:]\d)",
             lambda m: None if after(m, _MEASURE_NEXT) else zh_digits(m[1], "幺"), next="h a"),
        Rule("code", r"802\.(\d{1,2})", lambda m: f"八零二点{zh_digits(m[1])} ", next="."),
        Rule("code", r"7-11(?=便利|店|门店|超市)", lambda m: "七十一", next="-"),
        Rule("code", rf"({'|'.join(_KNOWN)})(?!\d|[.,]\d|\s?{_MEASURED}|户)", lambda m: _KNOWN[m[1]]),
        Rule("date", r"((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?![\d.,])",
             lambda m: None if after(m, _MEASURE_NEXT) else _date(m)),
        Rule("ordinal", r"(\d{1,3})(?:st|nd|rd|th)(?![A-Za-z])", lambda m: f"{en_ordinal(m[1])} ", next="a"),
        Rule("code", r"(\d{4,6})\.(SH|SZ|BJ|HK)(?![A-Za-z])", lambda m: f"{zh_digits(m[1])} {m[2]}", next="."),
        Rule("code", r"([0-8]\d{5})(?![\d.,])",
             lambda m: zh_digits(m[1])
             if (before(m, _LISTED) and not after(m, _ROOM_ENDS)) or after(m, _QUOTED_NEXT) else None),
        Rule("code", r"(?<=第)(\d{5,8})(?=\s?期)", lambda m: zh_digits(m[1]), next="h "),
        Rule("code", r"(0\d++|\d{9,}+)(?![.,]\d)", _long),
        # money
        Rule("money", rf"({_N})\s?({_SCALE})?\s?({_MONEY_CODE}|[$€£](?!\d))(?![A-Za-z])",
             lambda m: _number(m[1]) + (m[2] or "") + _CURRENCY[m[3]], next="h .,a"),
        Rule("money", rf"({_N})(?=\s?(?:{_MONEY_WORD}))", lambda m: "两" if m[1] == "2" else _price(m[1]), next="h .,"),
        # shares and measures
        Rule("angle", r"(\d{1,3})°\s?(\d{1,2})'(?:(\d{1,2})(?:\"|''))?",
             lambda m: f"{zh_cardinal(m[1])}度{_number(m[2])}分" + (f"{_number(m[3])}秒" if m[3] else ""), next="a"),
        Rule("percent", rf"({_N})([%‰]?)({_TO}|至|到)(-?)({_N})([%‰])", _percents, next="h -.,a"),
        Rule("percent", rf"({_N})\s?([%‰])",
             lambda m: ("百分之" if m[2] == "%" else "千分之") + _number(m[1]), next=" .,a"),
        Rule("unit", r"(\d{1,3})[Ww](\d)(?![A-Za-z\d.])",
             lambda m: f"{'两' if m[1] == '2' else zh_cardinal(m[1])}万{zh_digits(m[2])}", next="a"),
        Rule("unit", rf"({_N})\s?(cm|m|CM)/({_N})\s?(kg|KG|斤|公斤)(?![A-Za-z])",
             lambda m: f"{_number(m[1])}{'米' if m[2] == 'm' else '厘米'}、{_number(m[3])}{_SCALES.get(m[4], m[4])}",
             next=".a "),
        Rule("unit", rf"({_N})[Ww](?![A-Za-z\d])",
             lambda m: ("两" if m[1] == "2" else _number(m[1])) + "万" if before(m, _TENS_OF_THOUSANDS) else None,
             next=".,a"),
        Rule("unit", rf"({_N})[Ww](?=用户|粉|播放|阅读|人|元|块|点赞|年薪)",
             lambda m: ("两" if m[1] == "2" else _number(m[1])) + "万", next=".,a"),
        Rule("unit", rf"({_N})\s?({_UNIT})?{_TO}(-?{_N})\s?{scale}({_UNIT}){per}", _measure, next=" -.,a"),
        Rule("unit", rf"({_N})(\s?)(){scale}({_UNIT}){per}(?!网络|手机|信号|基站|时代|公司|口罩|胶)",
             _measure, next="h .,a"),
        Rule("unit", rf"({_N})w(?![A-Za-z\d]|灯|的?功率|快充)",
             lambda m: ("两" if m[1] == "2" else _number(m[1])) + "万", next=".,a"),
        Rule("unit", rf"({_N})\"(?=\s?(?:[大小曲直柔全高]?面?屏|显示|笔记本|电视|平板|的|OLED|LCD|AMOLED|IPS|2K|4K))",
             lambda m: _number(m[1]) + "英寸", next=".,a"),
        Rule("unit", r"([1-9][1-9])(?=折)", lambda m: zh_digits(m[1]), next="h"),
        Rule("unit", r"(720|1080|1440|2160)(?=[pPi](?![A-Za-z]))", lambda m: zh_digits(m[1]), next="a"),
        Rule("unit", r"(\d++)([米元块角万千百秒])(\d)(?![\d.多几余来]|\s?[年月日号点分秒个元万千百十米块角毛厘人名台])",
             lambda m: f"{'两' if m[1] == '2' else _number(m[1])}{m[2]}{zh_digits(m[3])}", next="h"),
        Rule("unit", r"(\d++)([米秒])(\d\d|(?<=秒)\d{3})(?![\d.]|\s?[年月日个元万人])",
             lambda m: f"{'两' if m[1] == '2' else _number(m[1])}{m[2]}{zh_digits(m[3])}", next="h"),
        # addresses, versions, scores, ratios, ranges, fractions
        Rule("address", r"((?:\d{1,3}\.){3}\d{1,3})(?::(\d{1,5}))?(?!\d|\.\d)",
             lambda m: zh_digits(m[1].replace(".", "点"), "幺") + (f"冒号{zh_digits(m[2], '幺')}" if m[2] else ""),
             next="."),
        Rule("version", r"\d{1,9}(?:\.\d{1,9}){2,9}(?!\d|\.\d)",
             lambda m: "点".join(map(_part, m.group().split("."))), next="."),
        Rule("score", r"(?<!\d[、，,])\d{1,3}[-–]\d{1,3}(?:[、，,]\s?\d{1,3}[-–]\d{1,3}){1,8}(?![\d-])",
             _scores, next="-"),
        Rule("score", r"([67])[-–]([67])(?=\s?[(（]\d)|(?<=[67][(（])(\d{1,2})[-–](\d{1,2})(?=[)）])",
             lambda m: "比".join(map(zh_cardinal, filter(None, m.groups()))), next="-"),
        Rule("ratio", rf"{_N}(?:\s?[:：∶]\s?{_N}){{1,7}}", _ratio, next=" .,:"),
        Rule("code", r"(?<=[图表式例题])(\d{1,2})-(\d{1,2})(?![\d.-])",
             lambda m: f"{zh_cardinal(m[1])}杠{zh_cardinal(m[2])}", next="-"),
        Rule("range", rf"({_N}){_TO}({_N})(?!\d|[-~～–—]\d)", _range, next=" -.,"),
        Rule("time", r"2(?=分\d{1,2}秒)(?<![点时]2)", lambda m: "两", next="h"),
        Rule("score", rf"2(?=分(?!{_NO_POINTS}))", lambda m: None if before(m, _NO_COUNT) else "两", next="h"),
        Rule("serial", r"([1-5]0[5-9]0)(?![\d.,:%/-]|\s?[元块点万亿])",
             lambda m: zh_digits(m[1]) if before(m, _CARD) or after(m, _CARD_NEXT) else None),
        Rule("range", r"2(?=[到至或]\d)",
             lambda m: "两" if _COUNTED_RANGE.match(m.string, m.end()) else None, next="h"),
        Rule("range", rf"([1-9])、([1-9])(?=\s?(?:{_COUNTED}))", _few, next="h"),
        Rule("unit", rf"({_N})/({_N})\s?(mmHg|Hz|kHz|V|mAh)(?![A-Za-z])",
             lambda m: f"{_number(m[1])}、{_number(m[2])}{units.in_mandarin(m[3])}", next="/.,"),
        Rule("list", r"\d{1,3}(?:/\d{1,3}){2,5}(?![\d/.])",
             lambda m: "、".join(map(zh_cardinal, m.group().split("/"))), next="/"),
        Rule("list", r"(\d{1,3})/(\d{1,3})(?=\s?(?:[楼层帧期档](?!的一)|人[桌间份]|号[线楼]|路(?:公交|车)))",
             lambda m: f"{zh_cardinal(m[1])}、{zh_cardinal(m[2])}", next="/"),
        Rule("fraction", r"(1)/(\d\.\d{1,2})(?=\s?(?:英?寸|\"|型))",
             lambda m: f"{zh_number(m[2])}分之一", next="/"),
        Rule("fraction", r"(1)/(\d{1,5})\s?s(?![A-Za-z\d])", lambda m: f"{zh_cardinal(m[2])}分之一秒", next="/"),
        Rule("fraction", r"(?:(\d{1,4})\s)?(\d{1,9})/(\d{1,9})(?![\d/]|\.\d)", _fraction, next=" /"),
        Rule("sum", rf"({_N})\s?[xX×*](?!3D)\s?(?={_N})", lambda m: _number(m[1]) + "乘", next=" .,a"),
        Rule("number", _N, _plain),
    ]  # fmt: skip
    signs = [
        Rule("ornament", rf"{ornament}|\*\*", lambda m: m.group()),
        Rule("placeholder", r"×{2,5}(?!\s?\d)", lambda m: "某" * len(m.group())),
        Rule("telephone", r"\(0\d{2,3}\)\s?\d{3,4}[- ]?\d{4}(?!\d)", _phone),
        Rule("list", r"(?<![^\n])[\(（](\d{1,2})[)）]\s*+(?=.)", lambda m: zh_cardinal(m[1]) + "、"),
        Rule("telephone", rf"\+{mobile}|\+\d{{1,3}}(?:[- ]\d{{2,4}}){{2,4}}(?!\d)", _phone),
        Rule("money", money, _money),
        Rule("number", r"\.(?<![A-Za-z\d]\.)(\d++)", lambda m: "零点" + zh_digits(m[1])),
        Rule("minus", r"-(?=\d)(?<![\dA-Za-z)）年月日点时分秒号%°]-)", _negative),
        Rule("range", r"(?:[-~～–]|—{1,2})\s?(?=(?:周|星期|礼拜)[一二三四五六日天])",
             lambda m: "到" if before(m, _WEEKDAY) else None),
        Rule("range", r"[-~～–—](?=(?:\dX{1,2}|X{0,4})L(?![A-Za-z\d])|M(?![A-Za-z\d]))",
             lambda m: "到" if before(m, _SIZE) else None),
        Rule("range", r"[~～](?=[一二三四五六七八九十])(?<=[一二三四五六七八九十两][~～])", lambda m: "到"),
        Rule("range", r"(?:[-~～–]|—{1,2})\s?(?=[\d¥$-])", lambda m: "到" if before(m, _RANGED) else None),
        Rule("power", rf"\^(-?\d{{1,3}})(?:\s?({_UNIT}))?(?:/({_UNIT}))?", _power),
        Rule("sign", rf"\+(?={_N}\s?[%‰])(?<![A-Za-z\d)%]\+)", lambda m: "正"),
        Rule("sign", r"#(?=[楼栋幢线库门厂炉机组])(?<=\d#)", lambda m: "号"),
        Rule("section", r"§{1,2}\s?(\d{1,4}(?:\.\d{1,3}){0,3})([条款]?)节?",
             lambda m: f"第{'点'.join(map(_part, m[1].split('.')))}{m[2] or '节'}"),
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
             lambda m: f"井号{_spelled(m[1])}"),
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
        Rule("per", rf"/(?=(?:{_PER}))(?!{_NO_PORTION})", lambda m: "每" if before(m, _RATED) else None),
        Rule("per", r"/(?=\d{1,4}(?:毫升|毫克|微克|升|克|千克|公斤|斤|公里|千米|米|平方米|立方米|万?人|次|字|小时|分钟"
             r"|天)(?!\d))", lambda m: "每" if before(m, _RATED) else None),
        Rule("per", rf"/(?=(?:{_PER}))(?<=[元块米里克斤升吨次度万千百\d]/)"
             r"|/(?=[期年月天日次笔])(?<=[%‰]/)|/(?=\d)(?<=[元块]/)", lambda m: "每"),
        Rule("per", r"/(?=[分秒](?!之))(?<=[转次拍滴跳步帧米字]/)", lambda m: "每"),
        Rule("per", rf"/(?=[{HANZI}])(?!/(?:[美日欧港澳]元|人民币))(?<=[\d百千万亿][元块角]/)", lambda m: "每"),
        Rule("per", rf"/(?=(?:{_PER}))", lambda m: "每" if before(m, _PAID_FOR) else None),
        Rule("per", rf"(?<=\d[个张件本粒片袋包盒瓶支只条份人次里])/(?=[{_PORTIONS}](?![{HANZI}]))", lambda m: "每"),
        Rule("per", rf"/(?={_N}\s?(?:{_PER}|{_UNIT}))", lambda m: "每" if before(m, _PRICED) else None),
        Rule("per", r"/(?=(?:1[KM]|百万|千)\s?(?:[Tt]oken|次|字))", lambda m: "每" if before(m, _PRICED) else None),
        Rule("per", rf"/({_UNIT})", lambda m: "每" + units.in_mandarin(m[1]) if before(m, _PRICED) else None),
        Rule("per", rf"/(?<=[元块米克斤升吨次万亿千百]/)({_UNIT})", lambda m: "每" + units.in_mandarin(m[1])),
        Rule("per", r"/\s?(?=[KMGT]B?(?![A-Za-z])|[A-Z]?[a-z]{3,})", lambda m: "每" if before(m, _PAID) else None),
        Rule("per", r"/s(?![A-Za-z])(?<=[KMGTk][Bb]/s)", lambda m: "每秒"),
        Rule("slash", r"/\s?(?=\S)", lambda m: "、"),
        Rule("file name", r"\.(?=[a-z]{3})(?<![A-Za-z\d.\s]\.)", lambda m: "点"),
        Rule("file name", rf"\.(?=(?:{FILES})(?![A-Za-z\d]))(?<=[\w）)]\.)", lambda m: "点"),
        Rule("file name", r"\.(?=[a-z\d])(?<=[A-Za-z\d]\.)", lambda m: "点"),
    ]  # fmt: skip
    letters = [
        Rule("code", r"([A-Z]{2,4})/([TZQ])[ -]?(\d{2,5}(?:\.\d{1,2})?)(?:-((?:19|20)\d\d))?(?![\d.]|-\d)", _standard),
        Rule("serial", r"([A-Z])2([A-Z])(?![A-Za-z\d])", lambda m: f"{m[1]} two {m[2]}"),
        Rule("version", r"[vV](?:er)?\.?\s?(\d{1,9}(?:\.\d{1,9}){0,9})(?![A-Za-z\d])", _version),
        Rule("money", money, _money),
        Rule("abbreviation", r"[Nn][Oo]\.\s?(?=\d{1,9}号)", lambda m: ""),
        Rule("abbreviation", r"[Nn][Oo]\.\s?(?=\d)", lambda m: "number "),
        Rule("abbreviation", r"vs(?![A-Za-z])", lambda m: " versus "),
        Rule("abbreviation", r"(Ctrl|Esc)(?![A-Za-z])", lambda m: {"Ctrl": "control", "Esc": "escape"}[m[1]]),
        Rule("unit", rf"(?<=每)({_UNIT})", lambda m: units.in_mandarin(m[1])),
        Rule("sharp", r"([CFJ])#", lambda m: m[1] + " sharp"),
        Rule("sign", r"([Cc])\+\+", lambda m: "C加加"),
        Rule("code", rf"(?<={plate})([A-Z])[·• -]?([A-Z\d]{{5,6}})(?![A-Za-z\d])",
             lambda m: m[1] + " " + zh_digits(m[2], "幺")),
        Rule("code", r"([A-Z]{1,2})-?(\d{2,4})(?=\s?(?:次|航班|列车|高铁|动车|客机))",
             lambda m: m[1] + zh_digits(m[2], "幺")),
        Rule("code", r"([A-Z]{1,4})\s?(\d{3,5}(?:\.\d{1,2})?)-((?:19|20)\d\d)(?![\d.-])",
             lambda m: f"{m[1]} {zh_digits(m[2].replace('.', '点'))}杠{zh_digits(m[3])}"),
        Rule("serial", r"(IP)[X ]?([0-6]\d)(?=[^\d.A-Za-z]|$)", lambda m: f"{m[1]} {zh_digits(m[2])}"),
        Rule("serial", r"([A-Z])\.(\d{3})(?![\d.])", lambda m: f"{m[1]}点{zh_digits(m[2])}"),
        Rule("code", r"([A-Z]{1,2})(\d{3,4})(?![\dA-Za-z])",
             lambda m: _letters(m[1]) + zh_digits(m[2], "幺") if before(m, _FLIGHT_BEFORE) else None),
        Rule("range", r"(X{0,4}[SL]|M)\s?[-~～–—]\s?(?=\dX{1,2}L(?![A-Za-z\d]))", lambda m: f"{m[1]}到"),
        Rule("code", SERIAL, lambda m: _spelled(m.group())),
        Rule("serial", r"([A-Za-z]++)(\d{1,2})-(\d{3,5})(?!\d|[.,]\d)",
             lambda m: f"{m[1]}{zh_cardinal(m[2])} {zh_digits(m[3])}"),
        Rule("serial", rf"([A-Za-z]++)-?({_N})-(\d++)(?=[A-Z](?![A-Za-z]))",
             lambda m: f"{m[1]}{_number(m[2])} {_number(m[3])}"),
        Rule("serial", r"([A-Za-z]++)-(\d++(?:-\d++){1,5})(?!\.\d)",
             lambda m: f"{m[1]} {zh_digits(m[2].replace('-', ' '))}"),
        Rule("serial", r"([A-Za-z]++)[- ](\d{3,4})(?![\d.,%]|[-:/]\d)", _model),
        Rule("minus", r"([ijknmxy])-(\d{1,3})(?![\d.A-Za-z-])", lambda m: f"{m[1]}减{zh_cardinal(m[2])}"),
        Rule("serial", r"([A-Za-z]++)[-_]?(\d++)(?!\.\d)",
             lambda m: _letters(m[1]) + _serial(m[2])),
        Rule("roman numeral", r"([IVX]{1,6})(?![A-Za-z])", _roman),
    ]  # fmt: skip
    words = (
        r"[A-Z]{2,4}(?=/[TZQ][ -]?\d)"
        r"|[A-Za-z]++(?=[-_ ·]?\d|\$\d|\.\s?\d|[+#])|[IVX]++(?![A-Za-z])|vs(?![A-Za-z])|(?:Ctrl|Esc)(?![A-Za-z])"
        rf"|(?<=每)[A-Za-z]++|(?<={plate})[A-Z](?=[·• -]?[A-Z\d]{{5,6}}(?![A-Za-z\d]))"
    )
    return Table(
        figures,
        (rf"(?<![A-Za-z\d])(?:{words})", letters),
        (r"[(（.\-~～–—+^=<>×÷≈≠≤≥±*°¥€£$%‰√∞&@/_#|₩₹₽¢∶→μΩ`\\§]|[?!](?=[号”\"’'」])", signs),
    )
