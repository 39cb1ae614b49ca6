#!/bin/bash
# tour.sh: what the README and client/examples show, with what is installed on this system, against the server that the PG*
# variables name, in which pg_rill is preloaded. As TAP. Run it in a source tree; nothing of it but texts and examples is
# used: headers and librill are found by pkg-config and CMake alone.
# Must survive: a server with databases of others (it makes one of its own and drops it).
# shellcheck disable=SC2317  # the checks' functions are called by name
set -uo pipefail
src=$(pwd)
scratch=$(mktemp -d)
database=rill_tour_$$
number=0 failed=0
export PGHOST=${PGHOST:-/var/run/postgresql}
check() {
    local description=$1 output
    shift
    number=$((number + 1))
    if output=$("$@" 2>&1); then
        echo "ok $number - $description"
    else
        echo "not ok $number - $description"
        echo "# ${output//$'\n'/$'\n# '}"
        failed=$((failed + 1))
    fi
}
is() { [[ $1 == "$2" ]] || { printf 'expected:\n%s\ngot:\n%s\n' "$2" "$1"; return 1; }; }
finish() {
    psql -XAtqd postgres -c "DROP DATABASE IF EXISTS $database WITH (FORCE)"
    rm -rf "$scratch"
}
trap finish EXIT
psql -XAtqd postgres -v ON_ERROR_STOP=1 -c "CREATE DATABASE $database" || { echo "Bail out! no server"; exit 1; }
export PGDATABASE=$database
version=$(sed -n 's/^   "version": "\(.*\)",$/\1/p' META.json)
conninfo="dbname=$database"
examples=(client/examples/*.cpp)

extension_version() { is "$(psql -XAtqc 'CREATE EXTENSION pg_rill' -c "SELECT extversion FROM pg_extension WHERE extname = 'pg_rill'")" "${version%.*}"; }
check "CREATE EXTENSION" extension_version
check "the README's SQL session" python3 -B test/integration/readme_tour.py

command_line() {
    is "$(rill --version)" "rill (pg_rill) $version" && printf 'one\ntwo\n' | rill append tour --close && is "$(rill tail -f --from start tour)" $'one\ntwo' &&
        rill ls | grep -qw tour
}
check "rill appends, follows to the end and lists" command_line

# The README's C++ program and its output.
mkdir "$scratch/tour"
awk '/^## The same in C\+\+/ { on = 1 } on && /^```cpp/ { copy = 1; next } on && /^```/ { if (copy) exit } copy' README.md |
    sed "s/dbname=app/$conninfo/" >"$scratch/tour/tour.cpp"
expected=$(awk '/^## The same in C\+\+/ { on = 1 } on && /^```/ { n++; next } on && n == 3' README.md)
readme_program() {
    # The command as the README gives it.
    local line
    # shellcheck disable=SC2016  # backticks of the page
    line=$(sed -n 's/^Build it with `\(g++ [^`]*\)`.*/\1/p' README.md)
    [[ -n $line ]] || { echo "the README has no such command"; return 1; }
    (cd "$scratch/tour" && eval "$line" && is "$(./a.out)" "$expected")
}
check "the README's C++ program, with the README's command" readme_program

# Usage: examples PROGRAMS_DIRECTORY SUFFIX: runs all of them there; the suffix makes streams of their own.
run_examples() {
    local directory=$1 suffix=$2 follower
    psql -XAtqc "SELECT stream_delete('example-01')" >/dev/null 2>&1   # its ids go on after the deleted ones
    is "$("$directory/01_append_and_read" "$conninfo" | cut -d ' ' -f 2)" $'hello\nworld' || return
    timeout 60 "$directory/02_follow_many" "$conninfo" "many-a$suffix" "many-b$suffix" >"$scratch/many" 2>&1 &
    follower=$!
    # It reads only what is new, so wait until it is connected.
    until [[ $(psql -XAtqc "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()") -gt 1 ]]; do
        kill -0 $follower || { cat "$scratch/many"; return 1; }
    done
    until grep -q "many-a$suffix" "$scratch/many"; do
        echo again | rill append "many-a$suffix"
        kill -0 $follower || { cat "$scratch/many"; return 1; }
    done
    echo b | rill append "many-b$suffix" --close
    rill close "many-a$suffix"
    if ! wait "$follower" || ! grep -qx "many-b$suffix 1 b" "$scratch/many"; then
        cat "$scratch/many"
        return 1
    fi
    printf 'x\n' | rill append "resume$suffix"
    "$directory/03_resume" "$conninfo" "resume$suffix" "$scratch/cursor$suffix" | grep -qx x || return
    printf 'y\n' | rill append "resume$suffix" --close
    is "$("$directory/03_resume" "$conninfo" "resume$suffix" "$scratch/cursor$suffix" 2>/dev/null)" y || return
    "$directory/04_events_and_stats" "$conninfo" "resume$suffix" 2>&1 | grep -q 'caught up'
}
with_pkg_config() {
    local file options
    mkdir "$scratch/pkg-config"
    options=$(pkg-config --cflags --libs rill) && is "$(pkg-config --modversion rill)" "$version" || return
    for file in "${examples[@]}"; do
        # shellcheck disable=SC2086
        g++ -std=c++20 -Wall -Wextra -Werror "$file" $options -o "$scratch/pkg-config/$(basename "$file" .cpp)" || return
    done
    ldd "$scratch/pkg-config/01_append_and_read" | grep -q 'librill.so.1 => /' || { echo "librill.so.1 is not used"; return 1; }
    run_examples "$scratch/pkg-config" -p
}
check "the examples, compiled with pkg-config" with_pkg_config
static_program() {
    # shellcheck disable=SC2046
    g++ -std=c++20 client/examples/01_append_and_read.cpp $(pkg-config --cflags rill) -l:librill.a $(pkg-config --libs libpq) -o "$scratch/static" &&
        ! ldd "$scratch/static" | grep librill
}
check "a program with librill.a" static_program
# A program's own project: each example by rill::rill, the first by rill::rill_static, too.
cmake_project() {
    mkdir -p "$scratch/cmake"
    {
        echo 'cmake_minimum_required(VERSION 3.20)'
        echo 'project(app LANGUAGES CXX)'
        echo "find_package(rill ${version%.*} REQUIRED)"
        echo "if(NOT rill_VERSION STREQUAL \"$version\")"
        echo '  message(FATAL_ERROR "this is another version")'
        echo 'endif()'
        for file in "${examples[@]}"; do
            echo "add_executable($(basename "$file" .cpp) $src/$file)"
            echo "target_link_libraries($(basename "$file" .cpp) PRIVATE rill::rill)"
        done
        echo "add_executable(with_static $src/${examples[0]})"
        echo 'target_link_libraries(with_static PRIVATE rill::rill_static)'
    } >"$scratch/cmake/CMakeLists.txt"
    cmake -S "$scratch/cmake" -B "$scratch/cmake/build" && cmake --build "$scratch/cmake/build" -j2 && ! ldd "$scratch/cmake/build/with_static" | grep librill &&
        ldd "$scratch/cmake/build/01_append_and_read" | grep -q 'librill.so.1 => /' && run_examples "$scratch/cmake/build" -c
}
check "the examples, compiled with CMake" cmake_project
other_versions() {
    local wanted major=${version%%.*}
    for wanted in $((major + 1)) "$major.999" $((major - 1)).0; do
        printf 'cmake_minimum_required(VERSION 3.20)\nproject(app LANGUAGES CXX)\nfind_package(rill %s QUIET)\nif(rill_FOUND)\nmessage(FATAL_ERROR "%s")\nendif()\n' "$wanted" "$wanted" \
            >"$scratch/cmake/CMakeLists.txt"
        cmake -S "$scratch/cmake" -B "$scratch/cmake/other" || return
    done
    printf 'cmake_minimum_required(VERSION 3.20)\nproject(app LANGUAGES CXX)\nfind_package(rill %s...<%s REQUIRED)\nfind_package(rill REQUIRED)\n' "$major.0" "$((major + 1))" \
        >"$scratch/cmake/CMakeLists.txt"
    cmake -S "$scratch/cmake" -B "$scratch/cmake/other"
}
check "CMake refuses a version that does not suit" other_versions
echo "1..$number"
[[ $failed == 0 ]]
