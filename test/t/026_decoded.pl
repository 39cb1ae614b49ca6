# Logical decoding of chunks that are appended beside rows which others load: what is decoded has no key twice, whatever
# the order of the commits, so a subscriber can apply it. Rows that an append had to take back are not decoded.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('publisher', init => [ allows_streaming => 'logical' ]);
my $writer = session($node);
my $loader = session($node);
my $gate = session($node);

# A subscriber of the same rows, with copied identities of the streams.
my $subscriber = rill_node('subscriber');
$writer->run("SELECT stream_append('s', 'first')");
$writer->run('CREATE PUBLICATION everything FOR TABLE stream, stream_state, stream_chunk, stream_producer');
my $connection = $node->connstr . ' dbname=postgres';
my $replica = session($subscriber);
$replica->run("CREATE SUBSCRIPTION everything CONNECTION '$connection' PUBLICATION everything");

sub caught_up
{
	my $count = $writer->run('SELECT count(*), sum(chunk_id), bool_or(eof) FROM stream_chunk');
	my $answer = '';
	return 1 if eventually(sub { ($answer = $replica->run('SELECT count(*), sum(chunk_id), bool_or(eof) FROM stream_chunk')) eq $count }, 60);
	diag("$answer instead of $count");
	return 0;
}
ok(caught_up(), 'the subscriber has the first chunk');

# Stores its rows one by one, and waits before its last one, of another stream, for a lock. So no trigger has told the id
# cache of its rows when the append is made.
$writer->run('CREATE FUNCTION gate(shut boolean) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN'
	. " IF shut THEN PERFORM pg_advisory_xact_lock(5); END IF; RETURN repeat('loaded', 1000)::bytea; END \$\$");
my $load = "INSERT INTO stream_chunk SELECT CASE WHEN i > %d THEN 1000000 ELSE stream_id END, i, 1, now(), false, gate(i > %d)"
  . " FROM stream, generate_series(%d, %d) i WHERE name = 's'";
my %append = (
	'an append' => "SELECT stream_append('s', 'x')",
	'a large append' => "SELECT stream_append('s', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) i)::bytea)",
	'a batch' => "SELECT stream_append_many('s', (SELECT array_agg(convert_to(repeat(md5(i::text), 100), 'UTF8')) FROM generate_series(1, 200) i))",
	'a batch with an index of users' => "SELECT stream_append_many('s', '{x,y,z}')");
my $last = 1;
for my $what (sort keys %append)
{
	$writer->run('CREATE INDEX ON stream_chunk (appended_at)') if $what =~ /index/;
	for my $order ('loader', 'writer')
	{
		$last = $writer->run("SELECT stream_append('s', 'known')");
		$gate->run('BEGIN; SELECT pg_advisory_xact_lock(5)');
		# The second id of a batch is taken: its first row had its id to itself.
		my $first = $last + ($what =~ /batch/ ? 2 : 1);
		$loader->run('BEGIN');
		$loader->start(sprintf($load, $first + 9, $first + 9, $first, $first + 10));
		ok(until_true($gate, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = " . $loader->pid), 'rows are being loaded');
		my $id = $writer->run("BEGIN; $append{$what}");
		$gate->run('COMMIT');
		$loader->finish;
		cmp_ok($id, '>', $first + 9, "$what takes ids above rows that are being loaded");
		$_->run('COMMIT') for $order eq 'loader' ? ($loader, $writer) : ($writer, $loader);
		ok(caught_up(), "$what, the $order commits first: the subscriber has the same chunks");
	}
}
$last = $writer->run("SELECT stream_head('s')");
is($replica->run("SELECT count(*) FROM stream_read_since('s', 0, null, null)"),
	$writer->run("SELECT count(*) FROM stream_read_since('s', 0, null, null)"), 'and reads them');

# Waiting sessions of the subscriber are woken; its id cache follows ids and EOFs, updates included.
my $waiter = session($subscriber);
$waiter->start("SELECT stream_wait('s', $last, '10 min')");
ok(asleep($replica, $waiter), 'a session of the subscriber waits');
$writer->run("SELECT stream_append('s', 'x')");
is($waiter->finish, $last + 1, 'a replicated chunk wakes it');
$writer->run("UPDATE stream_chunk SET chunk_id = chunk_id + 1000 WHERE chunk_id = $last + 1");
ok(caught_up(), 'an id changed by hand is replicated');
is($replica->run("SELECT stream_head('s')"), $last + 1001, 'and seen there');
$writer->run('ALTER TABLE stream_chunk REPLICA IDENTITY FULL');
$writer->run("SELECT stream_close('s')");
ok(caught_up(), 'the EOF is replicated');
# Without a replica identity the subscriber would keep what is removed here.
$writer->run('ALTER TABLE stream_chunk REPLICA IDENTITY NOTHING');
fails($writer, "SELECT stream_trim('s', $last)", '55000', 'replica identity', 'chunks whose removal cannot be replicated are not removed');
$writer->run('ALTER TABLE stream_chunk REPLICA IDENTITY DEFAULT');
cmp_ok($writer->run("SELECT stream_trim('s', $last)"), '>', 0, 'others are');
ok(caught_up(), 'at the subscriber, too');
$replica->run('DROP SUBSCRIPTION everything');
is($replica->run("SELECT eof FROM stream_read_since('s', $last + 1001)"), 't', 'the subscriber reads the EOF');
fails($replica, "SELECT stream_append('s', 'x')", 'RL001', 'closed', 'and is closed for appends');

done_testing();
