# Quintet: everything a user or a developer types.
#
#   make run      set up, build, train the demo team, show it live
#   make experiment  set up, build, compare ways to train in one table
#   make test     set up, build, run every test
#   make test-engines   ask real servers for a seat (tests/engines/test_servers says which variables name them)
#   make bench    set up, build, measure (JSON=FILE also writes lines of JSON)
#   make golden REF=DIR   compare with reference data in that layout
#   make fuzz     set up, feed damaged input to every reader (FUZZ_SECONDS=3600 for each: default 10)
#   make build    build only (V=asan, tsan, arm64: a variant beside the release; STRICT=1: warnings are errors;
#                 VERBOSE=1: every command in full)
#
# A new file under lib/ or services/, a new service, test, benchmark or fuzzer is found by its
# place and its name: nothing here needs an edit.

SHELL       := /bin/bash
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS   += --no-builtin-rules
.DEFAULT_GOAL := build

V    ?= release
OUT  := build/$(V)
BIN  := $(if $(filter release,$(V)),build/bin,$(OUT)/bin)
GEN  := build/gen

# V=arm64 compiles for another machine, as any variant can be by its CROSS prefix.
CROSS_arm64 := aarch64-linux-gnu-
CROSS     := $(CROSS_$(V))
CC        := $(CROSS)$(if $(filter fuzz,$(V)),clang,gcc)
AR        := $(CROSS)ar
MACHINE   := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
# The libraries of that machine (deploy/sysroot makes the folder).
ROOT      := $(if $(CROSS),$(CURDIR)/build/$(V)-root)
PKG_CONFIG := $(if $(CROSS),PKG_CONFIG_SYSROOT_DIR=$(ROOT) PKG_CONFIG_LIBDIR=$(ROOT)/usr/lib/$(CROSS:-=)/pkgconfig:$(ROOT)/usr/share/pkgconfig )pkg-config
PACKAGES  := libczmq libzmq libprotobuf-c hiredis openblas yaml-0.1 jansson libpcre2-8 libutf8proc zlib \
             libsodium libseccomp libcurl sqlite3 libzstd libmicrohttpd
WARNINGS  := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wstrict-prototypes \
             -Wmissing-prototypes $(if $(STRICT),-Werror)
# clang compiles for the fuzzers alone; what it would warn of beside GCC is left to GCC.
ifeq ($(V),fuzz)
WARNINGS  := -w
endif
SANITIZE_release :=
SANITIZE_asan    := -fsanitize=address,undefined -fno-sanitize-recover=undefined
SANITIZE_tsan    := -fsanitize=thread
SANITIZE_fuzz    := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
SANITIZE  := $(SANITIZE_$(V))
# Every check of every access passes through the optimizer, which takes twice as long over them at -O3 as at
# -O1, and may prove one away that -O1 leaves in.
OPTIMIZE_asan := -O1
OPTIMIZE  := $(or $(OPTIMIZE_$(V)),-O3)
VERSION   := $(shell cat lib/base/VERSION)
CFLAGS    := $(ROOT:%=--sysroot=%) -std=gnu11 $(OPTIMIZE) -g -fno-omit-frame-pointer -fno-math-errno -pthread $(SANITIZE)
CPPFLAGS  := -D_GNU_SOURCE -DQUINTET_VERSION='"$(VERSION)"' -Ilib -I$(GEN) -MMD -MP
LDFLAGS   := $(ROOT:%=--sysroot=%) -pthread $(SANITIZE) -Wl,--as-needed
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null | sed 's/-I/-isystem /g')
PKG_LIBS   := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null)

# One short line per file that is made, or with VERBOSE=1 the command itself.
Q   := $(if $(VERBOSE),,@)
SAY := @$(if $(VERBOSE),:,printf '  %-5s %s\n')

# The numeric kernels are one source per file name *.isa.c, compiled once for every instruction set
# and picked at run time.
ISAS         := avx512 avx2 plain
ISA_avx512   := -march=x86-64-v4 -mavx512bf16 -mamx-tile -mamx-bf16 -mprefer-vector-width=512
ISA_avx2     := -march=x86-64-v3
ISA_plain    :=
ifneq ($(MACHINE),x86_64)
ISAS         := plain
endif

PROTOS   := $(wildcard schemas/*.proto)
GEN_C    := $(PROTOS:schemas/%.proto=$(GEN)/%.pb-c.c)
GEN_O    := $(GEN_C:$(GEN)/%.c=$(OUT)/gen/%.o)
LIB_C    := $(wildcard lib/*/*.c lib/*/*/*.c)
ISA_C    := $(filter %.isa.c,$(LIB_C))
LIB_O    := $(patsubst %.c,$(OUT)/%.o,$(filter-out $(ISA_C),$(LIB_C))) \
            $(foreach isa,$(ISAS),$(ISA_C:%.isa.c=$(OUT)/%.$(isa).o)) $(GEN_O)
ARCHIVE  := $(OUT)/libquintet.a
SERVICES := $(notdir $(patsubst %/,%,$(dir $(wildcard services/*/main.c))))
PROGRAMS := $(patsubst $(BIN)/quintet-cli,$(BIN)/quintet,$(SERVICES:%=$(BIN)/quintet-%))
UNIT     := $(patsubst %.c,$(OUT)/%,$(wildcard tests/unit/test_*.c tests/golden/test_*.c))
BENCH    := $(patsubst %.c,$(OUT)/%,$(wildcard tests/bench/*.c))
FUZZ     := $(patsubst %.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all build setup sysroot run experiment test test-engines fuzz bench golden programs tests benches fuzzers clean lint flags

build: setup $(if $(CROSS),sysroot)
	@$(MAKE) --no-print-directory -j$$(nproc) programs

all: programs tests benches fuzzers
programs: $(PROGRAMS)
tests: $(UNIT)
benches: $(BENCH)
# clang's libFuzzer gives main and counts what an input reaches.
ifeq ($(V),fuzz)
fuzzers: $(FUZZ)
$(FUZZ): LDFLAGS += -fsanitize=fuzzer
else
fuzzers:
	@$(MAKE) --no-print-directory V=fuzz fuzzers
endif

setup:
	@deploy/setup

sysroot:
	@deploy/sysroot $(V) build/$(V)-root

run: build
	@build/bin/quintet run deploy/config/coding.yml $(ARGS)

experiment: build
	@build/bin/quintet experiment deploy/experiments/coding.yml --seeds 1 $(ARGS)

test:
	@deploy/setup test
	@tests/run

test-engines: setup
	@tests/run engines

fuzz: setup
	@tests/run fuzz

bench: build
	@$(MAKE) --no-print-directory -j$$(nproc) benches
	@tests/bench/run $(if $(JSON),--json $(JSON))

REF ?= ../shared/reference
golden: setup
	@$(MAKE) --no-print-directory -j$$(nproc) programs tests
	@tests/golden/run $(REF)

lint:
	@tests/lint/run

# How C is compiled, for checks that compile on their own (tests/lint/usage): the last line.
flags: $(GEN_C)
	@echo '$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(CFLAGS) $(WARNINGS) $(PKG_CFLAGS)'

clean:
	rm -rf build

# ---- how things are made -----------------------------------------------------------------------

$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h &: schemas/%.proto
	@mkdir -p $(GEN)
	$(SAY) PROTO $<
	$(Q)protoc-c --proto_path=schemas --c_out=$(GEN) $<

# wire is the only user of the generated headers; every generated file must exist before it.
$(patsubst %.c,$(OUT)/%.o,$(wildcard lib/wire/*.c)): | $(GEN_C)
$(OUT)/gen/%.o: $(GEN)/%.c | $(GEN_C)
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(PKG_CFLAGS) -c $< -o $@

# Files that are embedded (Redis functions, Python, HTML) stand beside the C that embeds them.
.SECONDEXPANSION:
EMBEDDED = $(wildcard $(1)/*.yml $(1)/*.lua $(1)/*.py $(1)/*.html $(1)/page/*)

define ISA_RULE
$(OUT)/%.$(1).o: %.isa.c
	@mkdir -p $$(@D)
	$$(SAY) CC '$$< ($(1))'
	$$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(WARNINGS) -ffp-contract=fast -Wno-psabi $(ISA_$(1)) -DISA=$(1) $(PKG_CFLAGS) -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call ISA_RULE,$(isa))))

# The part of the sandbox that is loaded into python3 is a shared object of its own, embedded as well. It is
# the same in every variant: a sanitizer's runtime has no place in there.
INSIDE := $(OUT)/services/reward/inside.so
$(INSIDE): $(wildcard services/reward/inside/*.[ch]) services/reward/protocol.h
	@mkdir -p $(@D)
	$(SAY) CC services/reward/inside
	$(Q)$(CC) $(ROOT:%=--sysroot=%) -std=gnu11 -O2 -g0 -D_GNU_SOURCE $(WARNINGS) -fPIC -shared -fvisibility=default \
	    -fno-stack-protector -U_FORTIFY_SOURCE -o $@ $(filter %.c,$^)
$(OUT)/services/reward/zygote.o: $(INSIDE)
$(OUT)/services/reward/zygote.o: CPPFLAGS += -DZYGOTE_INSIDE='"$(INSIDE)"'

$(OUT)/%.o: %.c $$(call EMBEDDED,$$(dir $$*))
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(WARNINGS) $(PKG_CFLAGS) -c $< -o $@

# GCC 12 for arm64 crashes where it makes vectors of the maximum of doubles, as tests compute it.
ifeq ($(MACHINE),aarch64)
$(OUT)/tests/%.o: CFLAGS += -fno-tree-vectorize
endif

$(ARCHIVE): $(LIB_O)
	@rm -f $@
	$(SAY) AR $@
	$(Q)$(AR) rcs $@ $^

# (a function, since a % in a pattern rule's own text would be taken for the stem)
OBJECTS = $(patsubst %.c,$(OUT)/%.o,$(wildcard services/$(1)/*.c services/$(1)/*/*.c))

$(BIN)/quintet: $$(call OBJECTS,cli) $(ARCHIVE)
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(CC) $(LDFLAGS) $^ $(PKG_LIBS) -lm -o $@

$(BIN)/quintet-%: $$(call OBJECTS,$$*) $(ARCHIVE)
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(CC) $(LDFLAGS) $^ $(PKG_LIBS) -lm -o $@

# A test that needs a service's own files lists them in its first comment: /* with: services/x/y.c */; a
# folder, services/x/, stands for all of them but main.c.
define WITH_AWK
NR == 1 && !/^\/\* with: / { exit } { last = /\*\//; gsub (/^\/\* with: |^ \*|\*\/$$/, ""); print } last { exit }
endef
WITH = $(patsubst %.c,$(OUT)/%.o,$(foreach f,$(shell awk '$(WITH_AWK)' $(1)),\
         $(if $(filter %/,$(f)),$(filter-out %/main.c,$(wildcard $(f)*.c)),$(f))))
$(OUT)/tests/%: $(OUT)/tests/%.o $$(call WITH,tests/$$*.c) $(ARCHIVE)
	$(SAY) LINK $@
	$(Q)$(CC) $(LDFLAGS) $^ $(PKG_LIBS) -lcmocka -lm -o $@

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
