# What happens between two steps of retention: limits that are replaced while a stream is judged, uses of a stream that is
# passed over, processes that end or run out of time before the rest has had its turn.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

plan skip_all => 'needs LD_PRELOAD and /proc' if $^O ne 'linux';

my $hold = "$PostgreSQL::Test::Utils::tmp_check/hold";
local $ENV{PG_RILL_TEST_HOLD} = $hold;
my $preload = join ' ', grep { defined } $ENV{LD_PRELOAD}, compile_library('held_read');
my $node = rill_node('main', conf => "pg_rill.retention_interval = 0\n");
my $one = session($node);

sub id { my ($stream) = @_; return $one->run("SELECT stream_id FROM stream WHERE name = '$stream'") }
sub state { my ($stream, $what) = @_; return "SELECT $what FROM stream_state JOIN stream USING (stream_id) WHERE name = '$stream'" }
sub grow { my ($stream, $n) = @_; return $one->run("SELECT stream_append_many('$stream', array_fill('x'::bytea, ARRAY[$n]))") }
sub trimmed { my ($stream, $through) = @_; return until_true($one, "SELECT trimmed_through = $through FROM stream_status('$stream')", 60) }
sub retention { reload_until($node, 'pg_rill.retention_interval' => $_[0]); return }
my $workers = q(SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_rill retention%');
my $sleeping = "$workers AND wait_event = 'PgSleep'";
sub no_worker { return until_true($one, "($workers) = 0") }

# Limits that are replaced after the worker has read them: it is held where it reads a chunk. Each stream has a page.

for my $stream (qw(lease lifted shorter))
{
	grow($stream, 1);
	$one->run("SELECT stream_append('filler', convert_to(repeat('x', 1900), 'UTF8')) FROM generate_series(1, 5)");
}
my $filler = id('filler');
is($one->run("SELECT count(DISTINCT (ctid::text::point)[0]) FROM stream_chunk WHERE stream_id <> $filler"), '3', 'three pages');
my $file = $one->run("SELECT pg_relation_filepath('stream_chunk')");
$one->quit;
{
	local $ENV{LD_PRELOAD} = $preload;
	$node->restart;
}
$one = session($node);

sub replace_limits
{
	my ($stream, $before, $after) = @_;
	append_to_file($hold, $file);
	$one->run("SELECT stream_set_limits('$stream', $before)");
	retention('1s');
	ok(eventually(sub { -e "$hold.held" }), "$stream: the worker judges it");
	is($one->run("SELECT stream_set_limits('$stream'$after)"), 't', 'while its limits are replaced');
	unlink $hold;
	ok(eventually(sub { !-e "$hold.held" }), 'it goes on');
	return;
}
replace_limits('lease', "max_idle => '1 us'", ", max_idle => '1 day'");
ok(until_true($one, state('lease', "next_due > now() + interval '23 h'"), 60), 'a lease that was renewed lasts');
replace_limits('lifted', "max_age => '1 us'", '');
replace_limits('shorter', "max_age => '1 day'", ", max_age => '1 us'");
ok(trimmed('shorter', 1), 'a limit that was made shorter is enforced');
is($one->run("SELECT trimmed_through FROM stream_status('lifted')"), '0', 'and one that was lifted is not');

# A stream that is due and locked, and then one that needs longer than a pass

grow($_, 60) for qw(locked long);
my $long = id('long');
$one->run(<<"SQL");
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF OLD.stream_id = $long THEN PERFORM pg_sleep(0.05); END IF; RETURN OLD; END';
CREATE TRIGGER slow BEFORE DELETE ON stream_chunk FOR EACH ROW EXECUTE FUNCTION slow();
SQL
my $owner = session($node);
retention(0);
no_worker();
$one->run("SELECT stream_set_limits('locked', max_age => '1 us')");
$one->run("SELECT stream_set_limits('long', max_age => '1 us')");
$owner->run('BEGIN; ' . state('locked', '') . ' FOR UPDATE OF stream_state');
retention('1s');
ok(trimmed('long', 60), 'a stream that needs several passes');
ok(no_worker(), 'has them');
$owner->run('ROLLBACK');
ok(trimmed('locked', 60), 'one that was locked in the first of them is tried again');
$one->run('DROP TRIGGER slow ON stream_chunk');

# Uses of a stream that pauses after errors

$one->run("SELECT stream_create('used', max_chunks => 1, max_idle => '1 h')");
my $used = id('used');
$one->run(<<"SQL");
CREATE SEQUENCE public.attempts;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF OLD.stream_id = $used THEN PERFORM nextval(''public.attempts''); RAISE ''not this one''; END IF; RETURN OLD; END';
CREATE TRIGGER fail BEFORE DELETE ON stream_chunk FOR EACH ROW EXECUTE FUNCTION fail();
GRANT USAGE ON SEQUENCE public.attempts TO PUBLIC;
SQL
grow('used', 3);
sub attempts { my ($n) = @_; return until_true($one, "SELECT last_value >= $n AND is_called FROM public.attempts", 60) }
attempts(2);
$one->run("UPDATE stream_state SET touched_at = now() - interval '50 min' WHERE stream_id = $used");
# After the fourth error the pause is eight intervals, and a pass comes every interval.
attempts(4);
is($one->run("SELECT stream_touch('used')"), 't', 'a stream is used while retention passes over it');
ok(until_true($one, state('used', "touched_at > now() - interval '10 min'"), 60), 'that is recorded after the pause');
ok(attempts(5), 'the stream is tried again');
no_worker();
is(log_count($node, qr/while enforcing retention of the stream with stream_id $used\n/), 1, 'which is not reported again');
$one->run('DROP TRIGGER fail ON stream_chunk');
ok(trimmed('used', 2), 'until it succeeds');

# A process that ends in a walk, and the same while retention is turned off

$one->run("SELECT stream_create('hang', max_chunks => 3), stream_create('behind', max_chunks => 3)");
my ($hang, $behind) = (id('hang'), id('behind'));
$one->run(<<"SQL");
CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN WHILE OLD.stream_id = $hang LOOP BEGIN PERFORM pg_sleep(1000); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; RETURN OLD; END';
CREATE TRIGGER hang BEFORE DELETE ON stream_chunk FOR EACH ROW EXECUTE FUNCTION hang();
SQL
ok(until_true($one, state($_, 'next_due IS NULL')), "nothing is due: $_") for qw(hang behind);
no_worker();
$one->run("INSERT INTO stream_chunk SELECT id, i, 1, now(), false, 'x' FROM unnest(ARRAY[$hang, $behind]) id, generate_series(1, 5) i");
ok(until_true($one, "($sleeping) = 1"), 'the worker hangs in a walk');
is($one->run("SELECT count(*) FROM stream_state WHERE stream_id = $behind AND trimmed_through = 0"), '1', 'before a stream');
$one->run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'pg_rill retention%'");
ok(trimmed('behind', 2), 'its process is ended: the walk begins again');
ok(until_true($one, "($sleeping) = 1"), 'the worker hangs again');
my $pid = $one->run("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pg_rill retention%'");
$one->run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_rill launcher'");
ok(until_true($one, "NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)", 60), 'the launcher is ended: so is the worker');
ok(until_true($one, "($sleeping) = 1"), 'the next one hangs again');
retention(0);
ok(no_worker(), 'and is ended, although retention has been turned off');
$one->run('DROP TRIGGER hang ON stream_chunk');
retention('1s');
ok(trimmed('hang', 2), 'the stream is trimmed when retention is back');

# A stream that is due in a year needs no process until then

$node->safe_psql('postgres', 'CREATE DATABASE far');
$node->safe_psql('far', 'CREATE EXTENSION pg_rill');
my $far = session($node, 'far');
$far->run("SELECT stream_create('far', expires_at => now() + interval '1 year')");
ok(until_true($far, state('far', "next_due > now() + interval '300 days'")), 'due in a year');
sub visits { return $far->run('SELECT pg_stat_clear_snapshot(); SELECT idx_scan FROM pg_stat_all_tables WHERE relid = \'stream_state\'::regclass') =~ s/\s//gr }
sub passes
{
	my ($n) = @_;
	for (1 .. $n)
	{
		my $last = grow('busy', 2);
		trimmed('busy', $last - 1) or die 'no pass';
	}
	return;
}
$one->run("SELECT stream_create('busy', max_chunks => 1)");
passes(2);
my $visits = visits();
passes(5);
is(visits(), $visits, 'no process is started for it');

$_->quit for $one, $owner, $far;
$node->stop;
done_testing();
