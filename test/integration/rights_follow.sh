#!/bin/bash
# A session that has a stream cached follows the changes of another session: grants, roles and their memberships, the
# owners of the table and of the database, policies and all that they query, names, deletion, the extension itself. Each
# change takes effect with the next call, without reconnecting. As TAP.
# Runs in a fresh database with the extension, as a superuser (PGHOST, PGDATABASE, …).
# Must survive: an answer that never arrives (each has a deadline). It leaves no role behind.
# shellcheck disable=SC2317  # the trap calls finish
set -uo pipefail
number=0 status=0
role=rill_rights_follow_$$
group=rill_rights_group_$$
set=rill_rights_set_$$
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
    psql -XAtq -c "ALTER DATABASE $PGDATABASE OWNER TO $me" -c "DROP EXTENSION IF EXISTS pg_rill" \
        -c "DROP VIEW IF EXISTS follow_view" -c "DROP TABLE IF EXISTS follow_member" -c "DROP FUNCTION IF EXISTS attempt(text), follow_says()" \
        -c "ALTER ROLE ${role}_renamed RENAME TO $role" -c "DROP OWNED BY $role, $group, $set" -c "DROP ROLE $role, $group, $set" >/dev/null 2>&1
}
me=$(admin "SELECT current_user")
trap finish EXIT

psql -XAtq -v ON_ERROR_STOP=1 >/dev/null <<SQL || exit 1
CREATE ROLE $role;
CREATE ROLE $group;
CREATE ROLE $set;
GRANT SELECT, UPDATE ON stream TO $role;
GRANT EXECUTE ON FUNCTION stream_append, stream_head, stream_read_many, stream_wait_many, stream_fetch TO $role;
CREATE TABLE follow_member (member name);
CREATE VIEW follow_view AS SELECT member FROM follow_member;
GRANT SELECT ON follow_member, follow_view TO $role;
CREATE FUNCTION follow_says() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN false; END';
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
reading="42501 true true true true"

is "granted" "$(may)" "$everything"
admin "REVOKE UPDATE ON stream FROM $role"
is "UPDATE revoked" "$(may)" "$reading"
admin "GRANT UPDATE ON stream TO $role"
admin "REVOKE SELECT ON stream FROM $role"
is "SELECT revoked" "$(may)" "true 42501 42501 42501 42501"
admin "REVOKE UPDATE ON stream FROM $role"
is "everything revoked" "$(may)" "$nothing"

# Through a role: the grant, the memberships on the way, and whether they inherit.
admin "GRANT SELECT, UPDATE ON stream TO $group"
is "granted to a group" "$(may)" "$nothing"
admin "GRANT $group TO $set"
admin "GRANT $set TO $role"
is "a member of a member of the group" "$(may)" "$everything"
admin "REVOKE $group FROM $set"
is "the membership in between has ended" "$(may)" "$nothing"
admin "GRANT $group TO $set"
is "and begun again" "$(may)" "$everything"
if (($(admin "SHOW server_version_num") >= 160000)); then
    admin "GRANT $set TO $role WITH INHERIT FALSE"
    is "it does not inherit" "$(may)" "$nothing"
    admin "GRANT $set TO $role WITH INHERIT TRUE"
else
    admin "ALTER ROLE $role NOINHERIT"
    is "it does not inherit" "$(may)" "$nothing"
    admin "ALTER ROLE $role INHERIT"
fi
is "it inherits" "$(may)" "$everything"
admin "DROP OWNED BY $group"
is "the group has lost what it was granted" "$(may)" "$nothing"
admin "GRANT SELECT, UPDATE ON stream TO PUBLIC"
is "granted to PUBLIC" "$(may)" "$everything"
admin "REVOKE SELECT, UPDATE ON stream FROM PUBLIC"
is "revoked from PUBLIC" "$(may)" "$nothing"

# Roles that have rights without a grant on the table.
admin "GRANT pg_read_all_data TO $role"
is "pg_read_all_data" "$(may)" "$reading"
admin "GRANT pg_write_all_data TO $role"
is "pg_write_all_data" "$(may)" "$everything"
admin "REVOKE pg_read_all_data, pg_write_all_data FROM $role"
is "neither any more" "$(may)" "$nothing"
admin "ALTER ROLE $role SUPERUSER"
is "a superuser" "$(may)" "$everything"
admin "ALTER ROLE $role NOSUPERUSER"
is "no superuser any more" "$(may)" "$nothing"

# Owners: of the table, and of the database, who is the one member of pg_database_owner.
admin "ALTER TABLE stream OWNER TO $role"
is "the table's owner" "$(may)" "$everything"
admin "ALTER TABLE stream OWNER TO $set"
is "a member of the table's owner" "$(may)" "$everything"
admin "REASSIGN OWNED BY $set TO $me"
is "the table was reassigned" "$(may)" "$nothing"
admin "GRANT SELECT, UPDATE ON stream TO pg_database_owner"
is "granted to the database's owner" "$(may)" "$nothing"
admin "ALTER DATABASE $PGDATABASE OWNER TO $role"
is "the database's owner" "$(may)" "$everything"
admin "ALTER DATABASE $PGDATABASE OWNER TO $me"
is "the database has another owner" "$(may)" "$nothing"
admin "ALTER DATABASE $PGDATABASE OWNER TO $set"
is "a member of the database's owner" "$(may)" "$everything"
admin "REASSIGN OWNED BY $set TO $me"
is "the database was reassigned" "$(may)" "$nothing"
admin "REVOKE ALL ON stream FROM pg_database_owner"
admin "REVOKE $set FROM $role"
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
admin "ALTER POLICY follow ON stream TO pg_database_owner"
is "a policy for the database's owner" "$(may)" "$hidden"
admin "ALTER DATABASE $PGDATABASE OWNER TO $role"
is "who it now is" "$(may)" "$everything"
admin "ALTER DATABASE $PGDATABASE OWNER TO $me"
is "and is no longer" "$(may)" "$hidden"
admin "ALTER POLICY follow ON stream TO PUBLIC USING (false)"
admin "ALTER TABLE stream OWNER TO $role"
is "the table's owner is free of policies" "$(may)" "$everything"
admin "ALTER TABLE stream FORCE ROW LEVEL SECURITY"
is "unless they are forced" "$(may)" "$hidden"
admin "ALTER TABLE stream NO FORCE ROW LEVEL SECURITY"
is "and when they are not" "$(may)" "$everything"
admin "ALTER TABLE stream OWNER TO $me"
admin "GRANT SELECT, UPDATE, INSERT ON stream TO $role" # it had become the owner's
is "another owns the table" "$(may)" "$hidden"

# What a policy asks.
admin "ALTER POLICY follow ON stream USING (follow_says())"
is "a function that says no" "$(may)" "$hidden"
admin "CREATE OR REPLACE FUNCTION follow_says() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END'"
is "it says yes" "$(may)" "$everything"
admin "REVOKE EXECUTE ON FUNCTION follow_says() FROM PUBLIC"
is "which may not be called" "$(may)" "$nothing"
admin "GRANT EXECUTE ON FUNCTION follow_says() TO PUBLIC"
is "which may be called" "$(may)" "$everything"
admin "ALTER POLICY follow ON stream USING (EXISTS (SELECT FROM follow_view WHERE member = current_user))"
is "a view without rows" "$(may)" "$hidden"
admin "CREATE OR REPLACE VIEW follow_view AS SELECT current_user AS member"
is "a view with all roles" "$(may)" "$everything"
admin "REVOKE SELECT ON follow_view FROM $role"
is "which may not be read" "$(may)" "$nothing"
admin "ALTER POLICY follow ON stream USING (EXISTS (SELECT FROM follow_member WHERE member = current_user))"
admin "INSERT INTO follow_member VALUES ('$role')"
is "a table that says yes" "$(may)" "$everything"
admin "ALTER TABLE follow_member ENABLE ROW LEVEL SECURITY"
is "has policies of its own" "$(may)" "$hidden"
admin "CREATE POLICY own ON follow_member USING (true)"
is "which let its rows through" "$(may)" "$everything"
admin "REVOKE SELECT ON follow_member FROM $role"
is "it may not be read" "$(may)" "$nothing"
admin "GRANT SELECT ON follow_member TO $role"
is "it may be read" "$(may)" "$everything"
admin "ALTER ROLE $role RENAME TO ${role}_renamed"
is "the role has another name" "$(may)" "$hidden"
admin "ALTER ROLE ${role}_renamed RENAME TO $role"
is "the role has its name again" "$(may)" "$everything"

# Creating a stream: an INSERT, whose plan is kept.
admin "CREATE POLICY make ON stream FOR INSERT TO $group WITH CHECK (name <> 'forbidden')"
admin "GRANT EXECUTE ON FUNCTION stream_create TO $role"
is "a policy to create for another role" "$(ask "SELECT stream_create('made 1')")" "true"
admin "DROP POLICY follow ON stream"
is "and none besides" "$(ask "SELECT stream_create('made 2')")" "42501"
admin "GRANT $group TO $role"
is "membership of that role" "$(ask "SELECT stream_create('made 2')") $(ask "SELECT stream_create('forbidden')")" "true 42501"
admin "REVOKE $group FROM $role"
is "membership has ended" "$(ask "SELECT stream_create('made 3')")" "42501"
admin "ALTER POLICY make ON stream TO pg_database_owner"
admin "ALTER DATABASE $PGDATABASE OWNER TO $role"
is "the database's owner" "$(ask "SELECT stream_create('made 3')")" "true"
admin "ALTER DATABASE $PGDATABASE OWNER TO $me"
is "who it is no longer" "$(ask "SELECT stream_create('made 4')")" "42501"
admin "ALTER POLICY make ON stream TO PUBLIC"
is "a policy that lets all roles create" "$(ask "SELECT stream_create('made 4')")" "true"
admin "REVOKE INSERT ON stream FROM $role"
is "INSERT revoked" "$(ask "SELECT stream_create('made 5')")" "42501"

admin "DROP POLICY make ON stream"
admin "ALTER TABLE stream DISABLE ROW LEVEL SECURITY"
is "no row-level security" "$(may)" "$everything"

admin "UPDATE stream SET name = 'renamed' WHERE name = 's'"
is "renamed: the old name reads nothing" "$(ask "SELECT stream_head('s')") $(ask "$read_many") $(ask "$wait_many")" "0 false false"
is "renamed: the new name reads it" "$(ask "SELECT stream_head('renamed') > 0")" "true"
admin "GRANT INSERT ON stream TO $role"
is "an append under the old name creates another stream" "$(ask "SELECT stream_append('s', 'x')")" "1"
admin "SELECT stream_delete('s')" >/dev/null
is "deleted: nothing to read" "$(ask "SELECT stream_head('s')") $(ask "$read_many") $(ask "$wait_many")" "0 false false"
is "created again: ids continue" "$(ask "SELECT stream_append('s', 'x')")" "2"

# Changes that fire no ordinary trigger: a session of replication, and logical replication's worker.
admin "SET session_replication_role = replica; UPDATE stream SET name = 'replicated' WHERE name = 's'"
is "renamed by replication: appending under the old name makes another stream" "$(ask "SELECT stream_append('s', 'x')")" "2"
is "renamed by replication: the new name has what was there" "$(ask "SELECT stream_head('replicated')")" "2"
admin "SET session_replication_role = replica; INSERT INTO stream_state (stream_id, trimmed_through, deleted_at, deleted_name) SELECT stream_id, 2, now(), name FROM stream WHERE name = 's'; DELETE FROM stream WHERE name = 's'"
is "deleted by replication: created again" "$(ask "SELECT stream_append('s', 'x')")" "3"

admin "DROP EXTENSION pg_rill; CREATE EXTENSION pg_rill"
admin "GRANT SELECT, UPDATE, INSERT ON stream TO $role"
admin "GRANT EXECUTE ON FUNCTION stream_append, stream_head, stream_read_many, stream_wait_many, stream_fetch TO $role"
is "the extension created again: nothing to read" "$(ask "SELECT stream_head('renamed')") $(ask "SELECT stream_head('s')") $(ask "$read_many") $(ask "$wait_many")" "0 0 false false"
is "the extension created again: an append creates a stream" "$(ask "SELECT stream_append('renamed', 'x')")" "1"
is "the extension created again: the append can be read" "$(ask "SELECT stream_head('renamed')")" "1"

echo "1..$number"
exit "$status"
