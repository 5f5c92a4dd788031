"""stub"""

LEAF = 0x40000100
SIGNATURE = {"ebx": 0, "ecx": 0, "edx": 0}


def native_page():
    return b""
