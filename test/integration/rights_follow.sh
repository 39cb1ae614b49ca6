#!/bin/bash
# A session that has a stream cached follows the changes of another session: grants, policies, rows that policies query,
# roles, names, deletion. Each change takes effect with the next call, without reconnecting. As TAP.
# Runs in a fresh database with the extension, as a superuser (PGHOST, PGDATABASE, …).
# Must survive: an answer that never arrives (each has a deadline). It leaves no role behind.
# shellcheck disable=SC2317  # the trap calls finish
set -uo pipefail
number=0 status=0
role=rill_rights_follow_$$
admin() { psql -XAtq -v ON_ERROR_STOP=1 -c "$1"; }
is() {
    number=$((number + 1))
    if [[ $2 == "$3" ]]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        echo "# '$2' instead of '$3'"
        status=1
    fi
}

finish() {
    [[ -z ${session[1]:-} ]] || eval "exec ${session[1]}>&-"
    wait
    psql -XAtq -c "DROP POLICY IF EXISTS follow ON stream" -c "ALTER TABLE stream DISABLE ROW LEVEL SECURITY" \
        -c "DROP TABLE IF EXISTS follow_member" -c "DROP FUNCTION IF EXISTS attempt(text)" -c "DROP OWNED BY $role" -c "DROP ROLE $role" >/dev/null 2>&1
}
trap finish EXIT

psql -XAtq -v ON_ERROR_STOP=1 >/dev/null <<SQL || exit 1
CREATE ROLE $role;
GRANT SELECT, UPDATE ON stream TO $role;
GRANT EXECUTE ON FUNCTION stream_append, stream_head, stream_read_many, stream_wait_many, stream_fetch TO $role;
CREATE TABLE follow_member (member name);
GRANT SELECT ON follow_member TO $role;
CREATE FUNCTION attempt(command text) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE result text;
BEGIN
  EXECUTE command INTO result;
  RETURN coalesce(result, 'nothing');
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END \$\$;
SELECT stream_append('s', 'x');
SQL

coproc session { psql -XAtq 2>&1; }
# Runs a command in the session and prints its one-line answer.
ask() {
    local answer=
    echo "SELECT attempt(\$command\$$1\$command\$);" >&"${session[1]}"
    read -r -t 60 answer <&"${session[0]}"
    echo "$answer"
}
echo "SET ROLE $role;" >&"${session[1]}"

append="SELECT stream_append('s', 'x') > 0"
head="SELECT stream_head('s') > 0"
read_many="SELECT count(*) > 0 FROM stream_read_many('{s}', '{0}')"
wait_many="SELECT count(*) > 0 FROM stream_wait_many('{s}', '{0}', '0')"
fetch="SELECT count(*) > 0 FROM stream_fetch('{s}', '{0}')"
# What the session may do now: an append, and four ways to read.
may() {
    local command answers=
    for command in "$append" "$head" "$read_many" "$wait_many" "$fetch"; do
        answers+=" $(ask "$command")"
    done
    echo "${answers# }"
}
everything="true true true true true" nothing="42501 42501 42501 42501 42501" hidden="42501 false false false false"

is "granted" "$(may)" "$everything"
admin "REVOKE UPDATE ON stream FROM $role"
is "UPDATE revoked" "$(may)" "42501 true true true true"
admin "GRANT UPDATE ON stream TO $role"
admin "REVOKE SELECT ON stream FROM $role"
is "SELECT revoked" "$(may)" "true 42501 42501 42501 42501"
admin "REVOKE UPDATE ON stream FROM $role"
is "everything revoked" "$(may)" "$nothing"
admin "GRANT SELECT, UPDATE, INSERT ON stream TO $role"
is "everything granted" "$(may)" "$everything"

admin "ALTER TABLE stream ENABLE ROW LEVEL SECURITY"
is "row-level security without a policy" "$(may)" "$hidden"
admin "CREATE POLICY follow ON stream USING (true)"
is "a policy that allows everything" "$(may)" "$everything"
admin "ALTER POLICY follow ON stream USING (owner = current_user)"
is "a policy that hides the stream" "$(may)" "$hidden"
admin "UPDATE stream SET owner = '$role' WHERE name = 's'"
is "the row gets another owner" "$(may)" "$everything"
admin "ALTER POLICY follow ON stream USING (EXISTS (SELECT FROM follow_member WHERE member = current_user))"
is "a policy that queries a table" "$(may)" "$hidden"
admin "INSERT INTO follow_member VALUES ('$role')"
is "the table has the role" "$(may)" "$everything"
admin "TRUNCATE follow_member"
is "the table no longer has it" "$(may)" "$hidden"
admin "ALTER ROLE $role BYPASSRLS"
is "the role bypasses policies" "$(may)" "$everything"
admin "ALTER ROLE $role NOBYPASSRLS"
is "the role no longer does" "$(may)" "$hidden"
admin "ALTER POLICY follow ON stream TO pg_monitor USING (true)"
is "a policy for another role" "$(may)" "$hidden"
admin "GRANT pg_monitor TO $role"
is "membership in that role" "$(may)" "$everything"
admin "REVOKE pg_monitor FROM $role"
is "membership has ended" "$(may)" "$hidden"
admin "DROP POLICY follow ON stream"
admin "ALTER TABLE stream DISABLE ROW LEVEL SECURITY"
is "no row-level security" "$(may)" "$everything"

admin "UPDATE stream SET name = 'renamed' WHERE name = 's'"
is "renamed: the old name reads nothing" "$(ask "SELECT stream_head('s')") $(ask "$read_many") $(ask "$wait_many")" "0 false false"
is "renamed: the new name reads it" "$(ask "SELECT stream_head('renamed') > 0")" "true"
is "an append under the old name creates another stream" "$(ask "SELECT stream_append('s', 'x')")" "1"
admin "SELECT stream_delete('s')" >/dev/null
is "deleted: nothing to read" "$(ask "SELECT stream_head('s')") $(ask "$read_many") $(ask "$wait_many")" "0 false false"
is "created again: ids continue" "$(ask "SELECT stream_append('s', 'x')")" "2"

echo "1..$number"
exit "$status"
