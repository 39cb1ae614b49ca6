# Builds and runs the doctest units of the server-independent code: extension/src/core, and the client's decoders
# where both must agree. One program from all test/unit/*.cpp, without server headers. test/run.sh uses this in
# build/unit; by hand: make test ONLY=unit:
root     := $(patsubst %/test/lib/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
CXX      := $(if $(filter default undefined,$(origin CXX)),g++,$(CXX))
CXXFLAGS ?= -O1 -g
STRICT    = -std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Werror
INCLUDES  = -I$(root)/extension/src -I$(root)/client/include -I$(root)/client/src
sources  := $(sort $(wildcard $(root)/test/unit/*.cpp $(root)/extension/src/core/*.cpp))
headers  := $(sort $(wildcard $(root)/test/unit/*.hpp $(root)/extension/src/core/*.hpp $(root)/client/src/p*.hpp))
objects  := $(subst /,_,$(patsubst $(root)/%.cpp,%.o,$(sources)))
# main() comes from the unit that asks doctest for it, else from here.
has_main := $(if $(sources),$(shell grep -l DOCTEST_CONFIG_IMPLEMENT $(sources)))
objects  += $(if $(has_main),,main.o)

.PHONY: all check
all: unit_test
check: unit_test
	./unit_test

unit_test: $(objects)
	$(CXX) $(CXXFLAGS) $^ -o $@ -pthread

define compile
$(subst /,_,$(patsubst $(root)/%.cpp,%.o,$(1))): $(1) $(headers)
	$$(CXX) $$(STRICT) $$(CXXFLAGS) $$(INCLUDES) -c $$< -o $$@
endef
$(foreach source,$(sources),$(eval $(call compile,$(source))))

# A library that the server loads (test/integration/boundary.sh). Only this needs server headers.
PG_CONFIG ?= pg_config
boundary.so: $(root)/test/integration/boundary_test.cpp $(root)/extension/src/base/boundary.cpp $(wildcard $(root)/extension/src/base/*.hpp)
	$(CXX) $(STRICT) $(CXXFLAGS) -fPIC -shared -fvisibility=hidden -I$(root)/extension/src \
	    -isystem $(shell $(PG_CONFIG) --includedir-server) $(filter %.cpp,$^) -o $@

main.o:
	printf '%s\n' '#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN' '#include <doctest/doctest.h>' | $(CXX) -std=c++20 -x c++ -c - -o $@
