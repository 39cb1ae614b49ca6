#!/bin/bash
# Compares doc/reference.md with the extension: functions with their signatures and defaults, the views' columns, settings
# with default, unit and context, SQLSTATEs, wait events, kinds of processes. As TAP.
# Runs in a database with the extension (PGHOST, PGDATABASE, …) and beside the sources. Both sides are converted to one
# form, sorted and compared, so a difference shows up as a line of diff.
# Must survive: any search_path, DateStyle and IntervalStyle of the database, and the extension in any schema.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
doc=doc/reference.md
export PGOPTIONS="${PGOPTIONS:-} -c search_path=pg_catalog -c intervalstyle=iso_8601 -c client_min_messages=warning"
query() { psql -XAtq -F ' | ' -v ON_ERROR_STOP=1 -c "$1"; }
number=0 status=0

# compare WHAT DOCUMENTED REAL: two lists of lines. An empty list means that the check itself is broken.
compare() {
    local difference=
    number=$((number + 1))
    if [[ -n $2 && -n $3 ]] && difference=$(diff -U0 --label "$doc" --label "the extension" <(sort -u <<<"$2") <(sort -u <<<"$3")); then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        difference=${difference:-nothing to compare: \"$2\" and \"$3\"}
        echo "# ${difference//$'\n'/$'\n# '}"
        status=1
    fi
}

# The lines of a section, from its heading to the next one of the same or a higher level.
section() { awk -v heading="$1" '$0 == heading { found = 1; level = length($1); next } found && /^#+ / && length($1) <= level { exit } found' "$doc"; }
# The cells of a section's table, without its header, as "a | b | c".
table() { section "$1" | sed -n 's/^| *//p' | sed '/^---\|^|---/d; 1d; s/ *|$//; s/ *| */ | /g'; }

# The first block of code below each heading "### stream_…", as one line.
signatures() {
    awk '/^### / { wanted = /^### stream_/ }
         /^```$/ && wanted { if (inside) { print line; wanted = 0 }; inside = !inside; line = ""; next }
         inside { sub(/^ +/, ""); line = line (line == "" ? "" : " ") $0 }' "$doc"
}

short="replace(replace(replace(%s, 'timestamp with time zone', 'timestamptz'), 'integer', 'int'), '\"', '')"
# shellcheck disable=SC2059  # the format is ours
type_of() { printf "$short" "format_type($1, NULL)"; }

# name(argument type = default, …) → result. Casts are removed from the defaults, which are all constants.
functions=$(query "
WITH routine AS (
  SELECT p.* FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pg_rill'),
argument AS (
  SELECT r.oid, r.prokind, a.n, coalesce(r.proargnames[a.n], '') AS name, coalesce(r.proargmodes[a.n], 'i') AS mode, $(type_of a.type) AS type,
         regexp_replace(pg_get_function_arg_default(r.oid, a.n::int), '::[a-z ]+(\[\])?\$', '') AS initial
    FROM routine r, unnest(coalesce(r.proallargtypes, r.proargtypes::oid[])) WITH ORDINALITY a(type, n)),
written AS (
  SELECT oid, string_agg(CASE mode WHEN 'b' THEN 'INOUT ' ELSE '' END || name || ' ' || type ||
                         CASE WHEN initial IS NULL THEN '' ELSE ' = ' || CASE
                              WHEN initial = 'NULL' THEN 'null'
                              WHEN initial = '''PT0S''' THEN '''0'''
                              WHEN initial ~ '^''PT\d+S''\$' THEN regexp_replace(initial, '''PT(\d+)S''', '''\1 s''')
                              WHEN initial ~ '^''\d+''\$' THEN trim(initial, '''')
                              ELSE initial END END, ', ' ORDER BY n) FILTER (WHERE mode IN ('i', 'b')) AS arguments,
         string_agg(name || ' ' || type, ', ' ORDER BY n) FILTER (WHERE mode IN ('t', 'o')) AS columns,
         bool_or(mode = 't') AS is_table
    FROM argument GROUP BY oid)
SELECT CASE r.prokind WHEN 'p' THEN 'CALL ' ELSE '' END || r.proname || '(' || coalesce(w.arguments, '') || ')' ||
       CASE WHEN r.prokind = 'p' THEN '' ELSE ' → ' || CASE WHEN w.is_table THEN 'TABLE(' || w.columns || ')'
            WHEN w.columns IS NOT NULL THEN '(' || w.columns || ')' ELSE $(type_of r.prorettype) END END
  FROM routine r LEFT JOIN written w USING (oid)")
compare "functions, their arguments, defaults and results" "$(signatures)" "$functions"

views=$(query "
SELECT c.relname FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pg_rill' WHERE c.relkind = 'v'")
compare "views" "$(sed -n 's/^### View //p' "$doc")" "$views"
for view in $views; do
    compare "columns of $view, in order" "$(table "### View $view" | awk -F ' \\| ' '{ printf "%02d %s | %s\n", NR, $1, $2 }')" "$(query "
        SELECT to_char(attnum, 'FM00') || ' ' || attname, $(type_of atttypid) FROM pg_attribute
         WHERE attrelid = (SELECT extnamespace::regnamespace || '.$view' FROM pg_extension WHERE extname = 'pg_rill')::regclass AND attnum > 0")"
done

# Defaults are converted to the setting's unit. Settings without a unit are counts; the page names what they count.
settings=$(table "## Settings" | while IFS='|' read -r name initial unit context _; do
    unit=${unit// /} initial=${initial// /}
    case $unit in
    B) initial=$(query "SELECT pg_size_bytes('$initial')") ;;
    ms) initial=$(query "SELECT (extract(epoch FROM '$initial'::interval) * 1000)::bigint") ;;
    s) initial=$(query "SELECT extract(epoch FROM '$initial'::interval)::bigint") ;;
    *) unit= ;;
    esac
    case $context in
    *superuser*) context=superuser ;;
    *reload*) context=sighup ;;
    *restart*) context=postmaster ;;
    esac
    echo "${name// /} | $initial | $unit | ${context// /}"
done)
compare "settings, their defaults, units and contexts" "$settings" \
    "$(query "SELECT name, boot_val, coalesce(unit, ''), context FROM pg_settings WHERE name LIKE 'pg\_rill.%'")"

documented=$(table "## SQLSTATEs" | sed 's/ |.*//; s/, /\n/g')
compare "SQLSTATEs of its own" "$(grep '^RL' <<<"$documented")" \
    "$(sed -n "s/.*MAKE_SQLSTATE('\(.\)', '\(.\)', '\(.\)', '\(.\)', '\(.\)').*/\1\2\3\4\5/p" extension/src/base/errors.hpp)"

compare "every SQLSTATE once" "$(sort <<<"$documented" | uniq -c | awk '{ print $1 " × " $2 }')" "$(sort -u <<<"$documented" | sed 's/^/1 × /')"

# The server's own SQLSTATEs, from the list that it was built with. Internal errors need no entry.
codes=$(query "SELECT setting FROM pg_config WHERE name = 'SHAREDIR'")/errcodes.txt
if [[ -r $codes ]]; then
    used=$(grep -rhoE 'ERRCODE_[A-Z_]+' extension/src | grep -vE 'ERRCODE_(INTERNAL_ERROR|OUT_OF_MEMORY)$' | sort -u)
    compare "the server's SQLSTATEs that it raises" "$(grep -v '^RL' <<<"$documented")" \
        "$(awk 'NR == FNR { used[$1]; next } $3 in used { print $1 }' <(echo "$used") "$codes")"
fi

processes=$(section "## Wait events and processes")
compare "wait events" "$(grep -oE 'PgRill[A-Za-z]+' <<<"$processes")" \
    "$(grep -rhoE 'wait_event\("[A-Za-z]+"\)' extension/src | sed 's/.*"\(.*\)".*/\1/')"
# shellcheck disable=SC2016  # backquotes of Markdown
compare "kinds of processes" "$(grep -oE '`pg_rill [a-z]+`' <<<"$processes" | tr -d '`')" \
    "$(sed -n 's/.*k[A-Za-z]*Type = "\(.*\)";.*/\1/p' extension/src/*.hpp extension/src/*/*.hpp)"

echo "1..$number"
exit "$status"
