"""What figures count in Chinese, and how a quantity of it is said: what the rules about numbers share."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend import units
from inference.frontend.numerals import zh_cardinal, zh_number
from inference.frontend.segment import HANZI

SCALE: Final = r"[十百千]?[万亿]亿?|[百千]"
UNIT: Final = units.pattern(0)
"""How units of Latin letters are written."""
COUNTED: Final = (
    "个|位|次(?!方|元)|天|倍|年(?!代|级)|小时|分钟|秒|点(?!击|评|赞)|刻钟|元(?!月|旦)|块|斤|公里|公斤|千克|千米|米|厘米|毫米|平方|平米|"
    "立方|英里|英寸|海里|人|"
    "种|条(?!件)|张|本|只|件|杯|瓶|盒|箱|袋|包|桶|碗|盘|辆|台|架|艘|家|名|岁|周(?!年)|个月|克|间|座|层|部(?!门|分|署|队)|篇|首(?![发批测付次期届任款秀播映日周先相选席创])|场(?!地|景|所)|套(?!餐|路)|双|对|"
    "科(?![技学幻室目比举员长研普])|把(?!手)|支(?!持|付|出|援|撑|架)|枝|头|匹|"
    "棵|朵|颗|份|项|句|段|遍|趟|回|吨|升|亩|公顷|美元|欧(?![洲冠盟])|英镑|日元|港元|万|亿|千|方|边|者|国|市|省|校|队|票|所|起|"
    "例|款|幅|枚|粒|滴|"
    "片|根|串|顿|餐|节(?!目|点|能)|声(?!明|音|称)|代人|类(?!似|型)|组(?!织|成|件)|届|成|株|则|道|扇|面|批|阵|字(?!头)|行(?!业|动|驶|政|程)|列|桌|户|口|封|宗|笔|束|股|轮|局|盏|顶|尊|门|副|"
    "集|胜|负(?![于给])|平(?=[\\d，。、的])|球|"
    "分钱|晚|夜|卡|任|盘|连|战(?![平胜败罢成])|室(?!内|外|友)|厅|卫(?!生|星)|厨|步|拍|抽|下|针|剂|拳|脚|眼|秒钟|斗|筐|篮|壶|罐|锅|勺|管|"
    "瓣|团|堆|捆|幕|圈|招|辈|餐|板|注(?!册|意|定|明|释|射|重|目|入|水|脚|解)|屉|笼|扎(?!实|根|啤)|坛|沓|摞|缕|簇|茬|匣|碟|贴|页(?!面|码|眉|脚)|尺(?!寸|码)|杆|跳|缸|盆(?!地|栽|景)|钵|星期|丈(?!夫|量)|毫升|"
    "车(?=相撞|追尾|道|均|连环|不同)|床(?=被|毯|褥|棉)|提(?=纸|抽|卷|牛奶|装)|荤|菜(?=[一两\\d])|男|女|大(?=\\d|一|两)|小(?=\\d)|听|打(?!印)|挂|记|处|伙|拨|排(?!名|行(?!业|动|驶|政|程)|放)|格(?!式)|助攻|抢断|盖帽|"
    "篮板|失误|犯规|瓦|伏|安(?!全|卓|装)|赫兹|兆|毫克|微克|毫秒|像素|字节|马力|尼特|流明|转(?!发|账|机|人工|接|分机|客服|内线|语音|"
    "\\d(?![\\d小分秒]))|帧"
)
"""What 2 counts is 两."""
MEASURED: Final = (
    rf"(?:{COUNTED}|%|℃|°|度|日|号(?!楼|院|线|门)|月|级|页|章|卷|期|折|分|角|毛|寸|两|多|余|来|几|后|强|百|十|平|环|"
    rf"路|字|克拉|弄|环|档|杆|尺|里(?!程)|码(?!头)|投|罚|余|许|左右|上下|出头|开外|进|匹|海拔|元)"
)
"""Before these a number is a quantity and no code."""
MEASURE_NEXT: Final = re.compile(rf"\s?(?:{MEASURED}|人)")
HANZI_NEXT: Final = re.compile(f"[{HANZI}]")


def quantity(text: str) -> str:
    """A number as it is written, with commas and a point: 1,234.5."""
    plain = text.replace(",", "") if "," in text else text
    return zh_cardinal(plain) if "." not in plain else zh_number(plain)


def till(written: str) -> str:
    """至 stays; a dash is 到."""
    return "至" if written == "至" else "到"
