# ponder: build, run, test.  `make` prints the targets and builds.
# Variables: CC (gcc, clang or a cross compiler), B (build folder), OPT, W=-Werror, EXTRA (more flags), PREFIX, DESTDIR,
# MODEL_DIR (where the model files are that go into the binary), HAVE_CURL (empty: no downloads).
ifeq ($(origin CC),default)
CC := gcc
endif
B         ?= build
OPT       ?= -O3 -g
W         ?=
EXTRA     ?=
PREFIX    ?= /usr/local
MODEL_DIR ?= weights

ARCH   := $(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1)
COMMIT := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
CFLAGS := -std=c11 -D_GNU_SOURCE -Wall -Wextra $(W) $(OPT) -ffp-contract=off -fno-math-errno -I. -pthread $(EXTRA)
LDLIBS := -lpcre2-8 -ljansson -lmicrohttpd -lm -pthread -ldl
# OpenMP, where the compiler has it (clang: with libomp-dev): files with its pragmas, and version.c, which names it.
OPENMP := $(shell echo 'int main(void) { return 0; }' | $(CC) -fopenmp -x c - -o /dev/null 2>/dev/null && echo -fopenmp)
LDLIBS += $(OPENMP)
# Downloads: the headers of libcurl and libcrypto are enough, the libraries are loaded by need (weights/hub/http.h).
ifeq ($(origin HAVE_CURL),undefined)
HAVE_CURL := $(shell printf '\043include <curl/curl.h>\n\043include <openssl/evp.h>\n' | $(CC) -E -x c - >/dev/null 2>&1 && echo yes)
endif

# Every .c of a room belongs to the library; files of another CPU's instruction set stay out.
ROOMS := base ops weights weights/hub tokenizer tokenizer/template model prm search search/strategies tasks train solve serve study
SRC   := $(sort $(foreach d,$(ROOMS),$(wildcard $(d)/*.c)))
ifneq ($(ARCH),x86_64)
SRC   := $(filter-out %_avx2.c %_avxvnni.c %_avx512.c,$(SRC))
endif
ifneq ($(ARCH),aarch64)
SRC   := $(filter-out %_neon.c %_neon_dot.c %_neon_i8mm.c,$(SRC))
endif
# Without its model files the binary is built with none inside: training must be able to start from nothing.
MODELS := $(addprefix $(MODEL_DIR)/,$(addsuffix .gguf,game24-policy game24-policy-small game24-prm ponder-policy))
ifeq ($(words $(wildcard $(MODELS))),$(words $(MODELS)))
EMBED  := weights/embedded.S
endif

OBJ     := $(SRC:%=$(B)/%.o) $(EMBED:%=$(B)/%.o) $(B)/serve/page.S.o
# The binary: its commands and the measurements.  bench/ladder.c is a program of its own.
CLIOBJ  := $(patsubst %,$(B)/%.o,$(wildcard cli/*.c) $(filter-out bench/ladder.c,$(wildcard bench/*.c)))
ONLY    ?=
TESTS   := $(if $(ONLY),$(filter $(B)/tests/test_%,$(ONLY:%=$(B)/tests/%)),$(patsubst %.c,$(B)/%,$(wildcard tests/test_*.c)))
FUZZERS := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz_*.c))
LIB     := $(B)/libponder.a

.PHONY: help all build-tests check run test asan ubsan tsan coverage arm fuzz bench ladder signature signature-check deps deps-install format \
	train study study-quick study-page results install clean run-fuzz FORCE
.SECONDARY:
.DELETE_ON_ERROR:

help: all
	@sed -n 's/^## //p' Makefile
all: $(B)/ponder

## make run              install what is missing, build, solve a few puzzles
## make test             the same set-up, then all tests
## make asan ubsan tsan  all tests under a sanitizer (build folders of their own), or ONLY="test_engine cli_search:crowd"
## make coverage         all tests in a build of their own, then the branches that they took, file by file
## make arm              the aarch64 kernels against scalar, cross-built, under qemu-user
## make fuzz             libFuzzer targets, FUZZ_SECONDS=60 each (clang)
## make bench            a short look at speed: ponder bench (docs/BENCH.md)
## make ladder           the rungs of docs/KERNELS.md: from naive loops to the shipped kernels
## make signature        one hash of fixed searches; signature-check compares it with bench/signature.txt
## make deps             check which room includes which
## make deps-install     install the Debian packages only
## make format           clang-format on all C files
## make study-quick      how much search a small model needs: runs, figures and a page in STUDY (build/study); study: the long one
## make study-page       the page of the study whose rows are in bench/results
## make results          write the tables of docs/RESULTS.md and README.md from the rows in bench/results
## make train            remake the shipped models from a seed (hours)
## make install          the binary into PREFIX/bin (default /usr/local)
## make clean            remove the build folders

# Set-up first, then a make of its own: what was missing is there when that one looks.  All cores, unless -j says otherwise.
MAKE_B = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
run:
	@.ci/setup.sh build
	+@$(MAKE_B) all
	@.ci/demo.sh $(B)/ponder
test:
	@.ci/setup.sh test
	+@$(MAKE_B) check
check: $(B)/ponder build-tests
	@tests/run.sh $(B) $(ONLY)
build-tests: $(TESTS)

# -fexpensive-optimizations: without it gcc leaves out vzeroupper, and SSE code after a kernel takes many times as long.
SANITIZED = $(MAKE_B) B=$(B)-$@ OPT="-O1 -fexpensive-optimizations -g -fno-omit-frame-pointer" EXTRA="$(EXTRA) $(1)" check
# Null pointers fault and the sizes of objects are ASan's, so UBSan need not ask for either.
asan:
	+@$(call SANITIZED,-fsanitize=address$(comma)undefined -fno-sanitize=null$(comma)object-size -fno-sanitize-recover=all)
ubsan:
	+@$(call SANITIZED,-fsanitize=undefined -fno-sanitize-recover=all)
tsan:
	+@$(call SANITIZED,-fsanitize=thread)
comma := ,
# Assertions never fail, so that half of their branches is never taken: they stay out.
coverage:
	-+@$(MAKE_B) B=$(B)-coverage OPT="-O1 -g -DNDEBUG" EXTRA="$(EXTRA) --coverage" check
	@.ci/coverage.sh $(B)-coverage

# Each emulated CPU must choose its own table.
ARM_CC ?= aarch64-linux-gnu-gcc
ARM_RUNS := cortex-a72:neon neoverse-n1:neon-dot max:neon-i8mm
arm:
	+@$(MAKE_B) CC=$(ARM_CC) B=$(B)-arm W=-Werror $(B)-arm/tests/ops_selftest
	@for run in $(ARM_RUNS); do qemu-aarch64 -cpu $${run%:*} $(B)-arm/tests/ops_selftest $${run#*:} || exit 1; done

FUZZ_SECONDS ?= 60
fuzz:
	+@$(MAKE_B) B=$(B)-fuzz CC=clang OPT="-O1 -g" EXTRA="-fsanitize=fuzzer-no-link,address,undefined \
	  -fno-sanitize-recover=all" run-fuzz
run-fuzz: $(FUZZERS)
	@for f in $(FUZZERS); do mkdir -p $$f.corpus; \
	  $$f -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -timeout=60 $$f.corpus $$(ls -d tests/corpus/$${f##*fuzz_} 2>/dev/null) || exit 1; done

bench: $(B)/ponder
	@$(B)/ponder bench
ladder: $(B)/bench/ladder
	@$<
signature: $(B)/ponder
	@$(B)/ponder signature
signature-check: $(B)/ponder
	@.ci/signature.sh $(B)/ponder
deps:
	@.ci/deps.sh
deps-install:
	@.ci/setup.sh ci
format:
	clang-format -i $$(git ls-files '*.c' '*.h')
STUDY ?= $(B)/study
study study-quick: $(B)/ponder
	@bench/study.sh $(if $(filter study,$@),full,quick) $(STUDY) $(B)/ponder
study-page: $(B)/ponder
	@mkdir -p $(STUDY)/kept && for f in bench/results/study/[!p]*.gz; do gzip -dc $$f >$(STUDY)/kept/$$(basename $$f .gz) || exit 1; done
	@$< study $(STUDY)/kept -o $(STUDY)/page && echo $(STUDY)/page/report.html
results: $(B)/ponder
	@bench/results.sh $<
train: $(B)/ponder
	@.ci/train.sh $(B)/ponder
install: $(B)/ponder
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/ponder $(DESTDIR)$(PREFIX)/bin/ponder
clean:
	rm -rf $(B) $(B)-asan $(B)-ubsan $(B)-tsan $(B)-fuzz $(B)-clang $(B)-arm $(B)-coverage

# No debug locals in kernels: they cost gcc a third of its time, and hardly one of them is not in a register.
$(B)/ops/kernels_%.c.o: private CFLAGS += -g1
OMP_SRC := $(shell grep -ls '^ *.pragma omp' $(SRC) cli/*.c bench/*.c tests/*.c) cli/version.c
$(OMP_SRC:%=$(B)/%.o): private CFLAGS += $(OPENMP)
# Instruction sets by file: nothing outside these files may need more than the base CPU.
$(B)/%_avx2.c.o: private CFLAGS += -mavx2 -mfma -mf16c
$(B)/%_avxvnni.c.o: private CFLAGS += -mavx2 -mfma -mf16c -mavxvnni
$(B)/%_avx512.c.o: private CFLAGS += -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
# gcc 12 would move loads ahead of the products of a tile until its sums lie on the stack.
NEON_CFLAGS := $(if $(findstring gcc,$(CC)),-fno-schedule-insns)
$(B)/%_neon.c.o: private CFLAGS += $(NEON_CFLAGS)
$(B)/%_neon_dot.c.o: private CFLAGS += $(NEON_CFLAGS) -march=armv8.2-a+dotprod
$(B)/%_neon_i8mm.c.o: private CFLAGS += $(NEON_CFLAGS) -march=armv8.2-a+dotprod+i8mm
# Fuzzers look for faults of readers; sanitized kernels are tested by asan, and would take clang many minutes here.  There, what
# kernels read is left to the fences of tests/fence.h: a call for each vector made a search three times as slow.
ASAN_KERNELS := $(if $(findstring gcc,$(CC)),$(if $(findstring address,$(EXTRA)),--param asan-instrument-reads=0))
$(B)/ops/kernels_%.c.o: private CFLAGS += $(if $(findstring fuzzer-no-link,$(EXTRA)),-fno-sanitize=all,$(ASAN_KERNELS))
# stb_ds.h shifts bytes into the sign; that is all that UBSan finds there.
$(B)/base/ds.c.o: private CFLAGS += $(if $(findstring undefined,$(EXTRA)),-fno-sanitize=shift)
$(B)/cli/version.c.o: private CFLAGS += -DPONDER_COMMIT='"$(COMMIT)"'
$(B)/cli/version.c.o: $(B)/commit
$(B)/weights/hub/http.c.o: private CFLAGS += $(if $(HAVE_CURL),-DHAVE_CURL)
$(B)/weights/embedded.c.o: private CFLAGS += $(if $(EMBED),-DPONDER_EMBED)
$(B)/weights/embedded.S.o: private CFLAGS += -DPOLICY_FILE='"$(word 1,$(MODELS))"' -DSMALL_FILE='"$(word 2,$(MODELS))"' \
	-DPRM_FILE='"$(word 3,$(MODELS))"' -DTASKS_FILE='"$(word 4,$(MODELS))"'
$(B)/weights/embedded.S.o: $(MODELS)
$(B)/serve/page.S.o: private CFLAGS += -DPAGE_FILE='"serve/page.html"'
$(B)/serve/page.S.o: serve/page.html

# Files that change only when what they hold does: other flags rebuild everything, another commit the version.
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CFLAGS) $(EMBED) $(MODEL_DIR) $(HAVE_CURL)' | cmp -s - $@ || echo '$(CC) $(CFLAGS) $(EMBED) $(MODEL_DIR) $(HAVE_CURL)' >$@
$(B)/commit: FORCE
	@mkdir -p $(@D); echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' >$@

$(B)/%.o: % $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
$(LIB): $(OBJ)
	@rm -f $@
	ar rcs $@ $^
$(B)/ponder: $(CLIOBJ) $(LIB)
	$(CC) $(CFLAGS) $^ -o $@ -ledit $(LDLIBS)
$(B)/tests/test_%: $(B)/tests/test_%.c.o $(LIB)
	$(CC) $(CFLAGS) $(filter %.o,$^) $(LIB) -o $@ -lcmocka $(LDLIBS)
$(B)/bench/ladder.c.o: private CFLAGS += -ffp-contract=fast
$(B)/bench/ladder: $(B)/bench/ladder.c.o $(filter-out $(B)/cli/main.c.o,$(CLIOBJ)) $(LIB)
	$(CC) $(CFLAGS) $^ -o $@ -ledit $(LDLIBS)
$(B)/tests/ops_selftest: $(B)/tests/ops_selftest.c.o $(filter $(B)/ops/%,$(OBJ)) $(B)/base/rng.c.o
	$(CC) $(CFLAGS) -static $^ -o $@ -lm
$(B)/tests/fuzz_%: $(B)/tests/fuzz_%.c.o $(LIB)
	$(CC) $(CFLAGS) -fsanitize=fuzzer $^ -o $@ -lcmocka $(LDLIBS)
-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)
