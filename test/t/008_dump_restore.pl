# Streams are ordinary data: pg_dump and pg_restore, in each format, and pg_upgrade carry streams, chunks, ids, producers
# and privileges; cursors stay valid and streams continue. Policies are the exception: pg_dump omits those on an
# extension's tables (pg_upgrade does not), so they must be created again after a restore.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', extension => 0, conf => "pg_rill.cached_streams = 64\n");
my $tmp = $PostgreSQL::Test::Utils::tmp_check;
$node->safe_psql('postgres', 'CREATE ROLE app; CREATE DATABASE source');
my $source = session($node, 'source');
$source->run(<<'SQL');
CREATE EXTENSION pg_rill;
SELECT stream_append('s', 'a'), stream_append('s', 'b');
BEGIN; SELECT stream_append('s', 'rolled back'); ROLLBACK;
SELECT stream_append('s', '\x00ff27'), stream_append('s', '');
SELECT stream_append_many('large', ARRAY[convert_to(repeat('0123456789', 30000), 'UTF8'), (SELECT string_agg(sha256(i::text::bytea), '') FROM generate_series(1, 20000) i)]);
SELECT stream_append('closed', 'x', eof => true);
SELECT stream_create('kept', '1 day', 1000, 1000000, '1 hour');
SELECT stream_append('Zähler ''quoted'' "name"', 'x');
SELECT stream_append('produced', 'one', producer => 'p', producer_epoch => 7, producer_seq => 1);
SELECT stream_append('produced', 'two', producer => 'p', producer_epoch => 7, producer_seq => 2);
SELECT stream_try_append('ordered', ARRAY['v']::bytea[], writer_seq => v) FROM unnest(ARRAY['1', '2', '10']) v;
SELECT stream_append('gone ' || i, 'x') FROM generate_series(1, 100) i;
CREATE TABLE position AS SELECT 's' AS stream, chunk_id, epoch FROM stream_read_since('s', 0);
INSERT INTO position SELECT 'large', chunk_id, epoch FROM stream_read_since('large', 0);
GRANT SELECT ON stream TO app;
GRANT EXECUTE ON FUNCTION stream_head(text), stream_read_since(text, bigint, int, bigint, interval) TO app;
SQL
my $policy = "CREATE POLICY tenant ON stream TO app USING (name LIKE 's%'); ALTER TABLE stream ENABLE ROW LEVEL SECURITY";
$source->run($policy);
my $contents = "SELECT stream_id, name, owner, s.created_at, metadata, max_age, max_chunks, max_bytes, delete_after_close, chunk_id, epoch, appended_at, eof, md5(data)"
  . " FROM stream s LEFT JOIN stream_state USING (stream_id) LEFT JOIN stream_chunk c USING (stream_id) ORDER BY name, chunk_id";
my $before = $source->run($contents);
my $next = 6;    # of stream s
my $producers = $source->run('SELECT * FROM stream_producer ORDER BY 1, 2, 3, 4');

# The checks for every copy.
sub goes_on
{
	my ($what, $session) = @_;
	is($session->run($contents), $before, "$what: the same streams and chunks");
	is($session->run('SELECT * FROM stream_producer ORDER BY 1, 2, 3, 4'), $producers, "$what: the same producers");
	is($session->run('SELECT bool_and(stream_verify(stream, chunk_id, epoch)), count(*) FROM position'), 't|6', "$what: cursors are verified");
	is($session->run("SELECT string_agg(chunk_id::text, ' ') FROM stream_read_since('s', 2)"), join(' ', 4 .. $next - 1), "$what: a reader continues after its cursor");
	fails($session, "SELECT * FROM stream_read_since('s', $next)", 'RL003', 'history', "$what: a cursor ahead is diverged");
	is($session->run("SELECT stream_append('s', 'new')"), $next, "$what: ids continue");
	fails($session, "SELECT stream_append('closed', 'x')", 'RL001', 'closed', "$what: closed streams stay closed");
	is($session->run("SELECT stream_append('produced', 'two', producer => 'p', producer_epoch => 7, producer_seq => 2)"), '2', "$what: a producer's repeat stores nothing");
	fails($session, "SELECT stream_append('produced', 'x', producer => 'p', producer_epoch => 7, producer_seq => 4)", 'RL006', '3', "$what: a producer's gap is refused");
	fails($session, "SELECT stream_append('produced', 'x', producer => 'p', producer_epoch => 6, producer_seq => 1)", 'RL005', '', "$what: an old producer is fenced off");
	is($session->run("SELECT stream_append('produced', 'three', producer => 'p', producer_epoch => 7, producer_seq => 3)"), '3', "$what: a producer's next append is stored");
	is($session->run("SELECT string_agg((stream_try_append('ordered', ARRAY['v']::bytea[], writer_seq => v)).outcome, ' ') FROM unnest(ARRAY['10', '2', '20', '3']) v"),
		'stale stale stored stored', "$what: the last writer_seq is known");
	$session->run("SELECT stream_append('brand new', 'x')");
	is($session->run("SELECT stream_id > (SELECT max(stream_id) FROM stream WHERE name <> 'brand new') FROM stream WHERE name = 'brand new'"),
		't', "$what: a new stream has an id of its own");
	$session->run('SET ROLE app');
	is($session->run("SELECT stream_head('s'), stream_head('produced')"), "$next|0", "$what: privileges and policies are there");
	fails($session, "SELECT stream_append('s', 'x')", '42501', 'permission denied', "$what: and no others");
	$session->run('RESET ROLE');
	return;
}
my $epoch_of_new = "SELECT epoch FROM stream_read_since('s', 5)";

my @formats = (
	[ 'plain', [ 'pg_dump', '-f', "$tmp/plain.sql" ], [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$tmp/plain.sql" ] ],
	[ 'custom', [ 'pg_dump', '-Fc', '-f', "$tmp/custom.dump" ], [ 'pg_restore', '--exit-on-error', "$tmp/custom.dump" ] ],
	[ 'directory, two jobs', [ 'pg_dump', '-Fd', '-j', '2', '-f', "$tmp/directory" ], [ 'pg_restore', '--exit-on-error', '-j', '2', "$tmp/directory" ] ],
	[ 'inserts', [ 'pg_dump', '--inserts', '-f', "$tmp/inserts.sql" ], [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$tmp/inserts.sql" ] ]);
my @copies;
for (@formats)
{
	my ($format, $dump, $restore) = @$_;
	my $database = 'copy_' . scalar @copies;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	command_ok([ @$dump, '-d', $node->connstr('source') ], "pg_dump, $format");
	command_ok([ @$restore, '-d', $node->connstr($database) ], "restore, $format");
	push @copies, session($node, $database);
	$copies[-1]->run($policy) if $copies[-1]->run("SELECT count(*) FROM pg_policies WHERE tablename = 'stream'") eq '0';
	goes_on($format, $copies[-1]);
}
is($source->run($contents), $before, 'the source is unchanged');
$source->run("SELECT stream_append('s', 'in the source')");
my %epochs = map { $_->run($epoch_of_new) => 1 } $source, @copies;
is(scalar keys %epochs, 1 + @copies, 'new chunks of the source and of every copy have epochs of their own');
($before, $next) = ($source->run($contents), 7);
$_->quit for $source, @copies;

# pg_upgrade to the same version, and to every newer server here that has pg_rill
my @targets = ([ 'the same version', $node->config_data('--bindir') ]);
for my $config (glob '/usr/lib/postgresql/*/bin/pg_config')
{
	chomp(my $share = `$config --sharedir`);
	chomp(my $bin = `$config --bindir`);
	my ($version) = `$config --version` =~ /(\d+)/;
	push @targets, [ "version $version", $bin, $config ] if $version > $node->pg_version->major && -e "$share/extension/pg_rill.control";
}
my $old_bin = $node->config_data('--bindir');
for (@targets)
{
	my ($what, $bin) = @$_;
	my $name = 'new_' . ($what =~ s/\W/_/gr);
	my $new = PostgreSQL::Test::Cluster->new($name, ($bin eq $old_bin ? () : (install_path => $bin =~ s{/bin$}{}r)));
	# From 18 on, initdb enables checksums by default; both clusters must agree.
	my ($initdb) = `$bin/initdb --version` =~ /(\d+)/;
	$new->init($initdb >= 18 && $node->pg_version->major < 18 ? (extra => ['--no-data-checksums']) : ());
	$new->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_rill'\n");
	$node->stop;
	# pg_upgrade writes into the current directory.
	chdir $tmp;
	command_ok(
		[
			"$bin/pg_upgrade", '--no-sync', '-d', $node->data_dir, '-D', $new->data_dir, '-b', $old_bin, '-B', $bin,
			'-s', $new->host, '-p', $node->port, '-P', $new->port
		],
		"pg_upgrade to $what");
	$new->start;
	my $session = session($new, 'source');
	goes_on("pg_upgrade to $what", $session);
	$session->run('SELECT stream_listen()');
	ok(until_true($session, "SELECT notifier_state = 'running' FROM stream_stat"), "pg_upgrade to $what: launcher and notifier run");
	$session->quit;
	$new->stop;
	$node->start;
}
$node->stop;
done_testing();
