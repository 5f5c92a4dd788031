test_sbe: test_sbe.c check.h ../../csrc/include/vmk_sbe.h \
 ../../csrc/include/../sbe/classes.def \
 ../../csrc/include/../sbe/insns.def ../../csrc/include/vmk_sbe_table.h
check.h:
../../csrc/include/vmk_sbe.h:
../../csrc/include/../sbe/classes.def:
../../csrc/include/../sbe/insns.def:
../../csrc/include/vmk_sbe_table.h:
