# ponder: build, run, test.  `make` prints the targets and builds.
# Variables: CC, B (build folder), OPT, EXTRA (flags), W=-Werror.
CC      ?= gcc
B       ?= build
OPT     ?= -O3 -g
W       ?=
EXTRA   ?=
ARCH    := $(shell $(CC) -dumpmachine | cut -d- -f1)
CFLAGS  := -std=c11 -D_GNU_SOURCE -Wall -Wextra $(W) $(OPT) -ffp-contract=off -fno-math-errno -I. -pthread $(EXTRA)
LDLIBS  := -lopenblas -lpcre2-8 -ljansson -lm -pthread

ROOMS   := base ops weights tokenizer model prm search tasks train
SRC     := $(sort $(foreach d,$(ROOMS),$(wildcard $(d)/*.c)))
ifneq ($(ARCH),x86_64)
SRC     := $(filter-out %_avx2.c,$(SRC))
endif
ifneq ($(ARCH),aarch64)
SRC     := $(filter-out %_neon.c,$(SRC))
endif
CLI     := $(wildcard cli/*.c)
TESTS   := $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
OBJ     := $(SRC:%.c=$(B)/%.o)
CLIOBJ  := $(CLI:%.c=$(B)/%.o)
LIB     := $(B)/libponder.a

.PHONY: help all
help: all
all: $(B)/ponder

# Instruction sets by file: nothing outside these files may need more than the base CPU.
$(B)/%_avx2.o: EXTRA += -mavx2 -mfma -mf16c
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(if $(findstring _avx2,$<),-mavx2 -mfma -mf16c) -MMD -MP -c $< -o $@
$(LIB): $(OBJ)
	@rm -f $@
	ar rcs $@ $^
$(B)/ponder: $(CLIOBJ) $(LIB)
	$(CC) $(CFLAGS) $^ -o $@ $(LDLIBS)
$(B)/tests/%: $(B)/tests/%.o $(LIB)
	$(CC) $(CFLAGS) $^ -o $@ -lcmocka $(LDLIBS)
-include $(OBJ:.o=.d) $(CLIOBJ:.o=.d)
