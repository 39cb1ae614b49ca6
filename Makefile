# make               build the extension, librill and rill (PG_CONFIG=/usr/lib/postgresql/NN/bin/pg_config picks the server)
# make install       install the extension into that server, the rest below prefix (/usr/local); DESTDIR is honoured.
#                    with_client=no: the extension alone, here and in "make" and "make uninstall" (doc/install.md)
# make installcheck  pg_regress and isolation tests against your own running server
# make tapcheck      TAP tests: they start servers of their own, from the installed files (not as root)
# make client        build librill and the rill command; make -C client install installs them (client/Makefile)
#
# These work on a bare Debian: they install missing packages, build under build/ and run on private,
# temporary servers in a scratch directory. No existing cluster is touched.
# make demo          see it work; KEEP=1 leaves the demo's server running
# make test          every test; ONLY='read_scan 004_wait' selects some, KEEP=1 keeps their logs (CONTRIBUTING.md)
# make faults        the fault test at full size: 100 streams, 20 readers each; FAULTS_SECONDS lengthens it
# make torture       writers and readers of every kind through random faults; MINUTES=n SEED=n (doc/testing.md)
# make coverage      every test on instrumented builds, then the share of lines that ran, by file
# make bench         benchmarks beside rivals; BENCH_SECONDS, BENCH_ROUNDS, BENCH_ONLY=P1,P4 (test/bench/README.md)
# make deb           Debian packages in build/deb: postgresql-NN-rill, librill1, librill-dev, rill (packaging/README)
# make dist          build/pg_rill-VERSION.zip for PGXN, of what is committed
# make matrix        make test on PostgreSQL 15 to 18, in systems of their own; VERSIONS='17 18' (test/matrix/run.sh); needs root
# make test-packages what make deb and make dist built, in fresh Debian systems; needs root and debootstrap
# make conformance   the Durable Streams protocol: its test suite, and its clients through faults; needs node and npm
# make bench-check   fails if an append, wait or read executes 5 % more instructions than recorded
#
# For work on the sources (CONTRIBUTING.md):
# make format                  format every C++ file with clang-format 14; "make test" checks the format
# make compile_commands.json   for clangd and clang-tidy: extension, client and tests
# make tidy                    clang-tidy on the whole tree; takes minutes
.DEFAULT_GOAL := all

# PGXS's srcdir exists only after the include below. Out-of-tree builds need this, too.
here := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

# The version is in META.json alone: pg_rill.so, librill and the rill command get it from there when they are built.
# The control file, the install script's name and CHANGELOG.md repeat it; test/lib/check_tree.sh compares them.
version    := $(shell sed -n 's/^   "version": "\(.*\)",$$/\1/p' $(here)/META.json)

EXTENSION  = extension/pg_rill
MODULE_big = pg_rill
DATA      := $(patsubst $(here)/%,%,$(sort $(wildcard $(here)/extension/pg_rill--*.sql)))
sources   := $(sort $(wildcard $(here)/extension/src/*.cpp $(here)/extension/src/*/*.cpp))
headers   := $(sort $(wildcard $(here)/extension/src/*.hpp $(here)/extension/src/*/*.hpp))
OBJS      := $(patsubst $(here)/%.cpp,%.o,$(sources))

REGRESS        := $(patsubst $(here)/sql/%.sql,%,$(sort $(wildcard $(here)/sql/*.sql)))
REGRESS_OPTS    = --load-extension=pg_rill
ISOLATION      := $(patsubst $(here)/test/isolation/specs/%.spec,%,$(sort $(wildcard $(here)/test/isolation/specs/*.spec)))
ISOLATION_OPTS  = --inputdir=$(here)/test/isolation --load-extension=pg_rill
EXTRA_CLEAN     = build

PG_CONFIG  ?= pg_config
STD         = -std=c++20
WARN        = -Wall -Wextra -Wpedantic -Wshadow $(WERROR)
# The server's CXXFLAGS are for g++: clang++ must not complain about those that it does not know.
WARN       += $(if $(findstring clang,$(CXX)),-Wno-unknown-warning-option -Wno-ignored-optimization-argument \
              -Wno-gnu-statement-expression -Wno-c99-extensions)  # the server's macros (list_make1, makeNode)
# -isystem: no warnings about the server's headers.
PG_CPPFLAGS = -I$(here)/extension/src -isystem $(shell $(PG_CONFIG) --includedir-server) $(EXTRA_CPPFLAGS)
PG_CXXFLAGS = $(STD) -fvisibility=hidden -fvisibility-inlines-hidden $(WARN) $(EXTRA_CXXFLAGS)
SHLIB_LINK  = -lstdc++ $(EXTRA_LINK)

.PHONY: tapcheck client client-install client-uninstall deb dist demo test conformance faults torture test-packages coverage bench bench-check format tidy \
        matrix \
        need-server-dev need-preload
with_client ?= yes
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
ifneq ($(PGXS),)
include $(PGXS)

# The JIT's bitcode is compiled by clang without PG_CXXFLAGS.
BITCODE_CXXFLAGS += $(STD)

# PGXS tracks headers only for servers configured with --enable-depend; Debian's are not.
$(OBJS) $(OBJS:.o=.bc): $(headers)
extension/src/module.o extension/src/module.bc: override CPPFLAGS += -DRILL_VERSION='"$(version)"'
extension/src/module.o extension/src/module.bc: $(here)/META.json

# Out-of-tree builds: PGXS does not create subdirectories, and its VPATH would use the objects of a build in the tree.
VPATH =
vpath %.cpp $(here)
vpath %.control $(here)
vpath %.sql $(here)
$(if $(filter-out .,$(here)),$(shell mkdir -p $(sort $(dir $(OBJS)))))

installcheck: need-preload

ifneq ($(with_client),no)
all: client
install: client-install
uninstall: client-uninstall
endif
else
all install installdirs uninstall installcheck tapcheck: need-server-dev
clean:
	rm -rf build
endif

need-server-dev:
	@echo 'pg_rill: "$(PG_CONFIG) --pgxs" names no build files of a PostgreSQL server.' >&2
	@echo 'Debian and Ubuntu:  apt-get install g++ clang postgresql-15 postgresql-server-dev-15 libpq-dev' >&2
	@echo 'Another server:     make PG_CONFIG=/path/to/its/bin/pg_config' >&2
	@echo 'Only want to look?  "make demo" and "make test" install what they need by themselves.' >&2
	@false

# The expected results are those of a server that preloads pg_rill. If the server cannot be reached, pg_regress
# reports that. A temporary instance gets its settings from test/regress.conf.
need-preload:
	@case '$(EXTRA_REGRESS_OPTS)' in *--temp-instance*) exit 0;; esac; \
	libraries=$$('$(bindir)/psql' -XAtq -d postgres -c 'SHOW shared_preload_libraries' 2>/dev/null) || exit 0; \
	case "$$libraries" in *pg_rill*) ;; *) \
	    echo "pg_rill: this server has shared_preload_libraries = '$$libraries'." >&2; \
	    echo "The tests expect pg_rill there: add it in postgresql.conf, restart the server, and run them again." >&2; \
	    echo "(\"make test\" needs none of this: it uses private servers.)" >&2; \
	    exit 1;; esac

# TAP tests start their own servers, so they are not part of installcheck, which distributions run as root against a
# running server. A server built without --enable-tap-tests does not name a prove program.
ifneq ($(PGXS),)
tapcheck:
	rm -rf tmp_check
	cd $(here) && TESTDIR='$(CURDIR)' TESTDATADIR='$(CURDIR)/tmp_check' TESTLOGDIR='$(CURDIR)/tmp_check/log' \
	PG_CONFIG='$(PG_CONFIG)' PATH="$(bindir):$$PATH" PGPORT=65432 PG_REGRESS='$(top_builddir)/src/test/regress/pg_regress' \
	$(or $(PROVE),prove) $(PG_PROVE_FLAGS) $(PROVE_FLAGS) $(if $(PROVE_TESTS),$(PROVE_TESTS),$(sort $(patsubst $(here)/%,%,$(wildcard $(here)/test/t/*.pl))))
endif

# The client's own Makefile has the GNU conventions for directories. PGXS sets variables of the same names to the server's
# directories; those that came from the environment would reach that Makefile with PGXS's values.
make_client = env $(foreach name,prefix exec_prefix bindir libdir includedir datadir mandir CPPFLAGS CXXFLAGS LDFLAGS,-u $(name)) \
	$(MAKE) -C $(here)/client BUILD='$(CURDIR)/build/client' PG_CONFIG='$(PG_CONFIG)' WERROR='$(WERROR)'
client:
	+@$(make_client) all || { echo 'pg_rill: librill and rill were not built. They need libpq-dev, libboost-dev, libcli11-dev, libncurses-dev and' >&2; \
	    echo 'nlohmann-json3-dev. "make with_client=no" builds the extension alone, without them.' >&2; false; }
client-install: client
	+@$(make_client) install
client-uninstall:
	+@$(make_client) uninstall

bench-check:
	+@MAKE='$(MAKE)' PG_CONFIG='$(PG_CONFIG)' UPDATE='$(UPDATE)' $(here)/test/bench/run.sh check

deb:
	+@MAKE='$(MAKE)' VERSION='$(version)' $(here)/packaging/deb.sh

# Without git, in an unpacked archive for example, there is nothing to make an archive of.
dist:
	@[ -z "$$(git -C $(here) status --porcelain)" ] || echo 'make dist: what is not committed is not in the archive' >&2
	mkdir -p $(here)/build
	git -C $(here) archive --format=zip --prefix=pg_rill-$(version)/ -o build/pg_rill-$(version).zip HEAD
	@echo $(here)/build/pg_rill-$(version).zip

matrix:
	+@$(here)/test/matrix/run.sh

test-packages:
	@VERSION='$(version)' $(here)/test/packages/run.sh

demo test bench:
	+@MAKE='$(MAKE)' PG_CONFIG='$(PG_CONFIG)' $(here)/test/$(if $(filter test,$@),,$@/)run.sh

conformance:
	+@MAKE='$(MAKE)' PG_CONFIG='$(PG_CONFIG)' $(here)/test/conformance/run.sh

faults:
	+@MAKE='$(MAKE)' PG_CONFIG='$(PG_CONFIG)' FAULTS_STREAMS='$(or $(FAULTS_STREAMS),100)' FAULTS_READERS='$(or $(FAULTS_READERS),20)' \
	FAULTS_SECONDS='$(or $(FAULTS_SECONDS),10)' RILL_TEST_DEADLINE='$(or $(RILL_TEST_DEADLINE),120)' ONLY=follow_faults $(here)/test/run.sh

torture:
	+@MAKE='$(MAKE)' PG_CONFIG='$(PG_CONFIG)' MINUTES='$(MINUTES)' SEED='$(SEED)' PLANT='$(PLANT)' EPISODE='$(EPISODE)' FAULTS='$(FAULTS)' $(here)/test/torture/run.sh

coverage:
	+@MAKE='$(MAKE)' PG_CONFIG='$(PG_CONFIG)' $(here)/test/run.sh coverage

format:
	@$(here)/test/lib/format.sh

# Always regenerated: it depends on every Makefile and on the list of sources.
.PHONY: compile_commands.json
compile_commands.json:
	@MAKE='$(MAKE)' PG_CONFIG='$(PG_CONFIG)' python3 -B $(here)/test/lib/compile_commands.py

tidy: compile_commands.json
	@$(here)/test/lib/tidy.sh
