# Wake-ups without a commit callback: replay wakes waits on a hot standby, and applied changes wake waits on a logical
# replication subscriber. The recheck, a minute here, would also end the waits; stream_stat.rescues shows that it did not.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $primary = rill_node('primary', init => [ allows_streaming => 'logical' ], conf => "pg_rill.recheck_interval = 60s\n");
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
my $writer = session($primary);
$writer->run("SELECT stream_append('s', 'one')");
$primary->wait_for_catchup($standby);

my ($reader, $observer) = map { session($standby) } 1 .. 2;
is($reader->run("SELECT stream_wait('s', 0)"), '1', 'a wait for a replayed chunk returns at once');
for my $id (2 .. 6)
{
	$reader->start("SELECT stream_wait('s', $id - 1, '10 min')");
	ok(asleep($observer, $reader), "a session waits on the standby for chunk $id");
	$writer->run("SELECT stream_append('s', 'more')");
	is($reader->finish, $id, 'replay ends the wait');
}
# An abort releases what it held back; no commit record is replayed for it.
$writer->run("BEGIN; SELECT stream_append('s', 'never')");
session($primary)->run("SELECT stream_append('s', 'behind')");
$reader->start("SELECT stream_wait('s', 6, '10 min')");
ok(asleep($observer, $reader), 'the stable prefix holds on the standby');
$writer->run('ROLLBACK');
is($reader->finish, '8', 'the replay of an abort ends the wait');
$reader->start("CALL stream_await('s', 8, '10 min')");
ok(asleep($observer, $reader), 'CALL stream_await waits there');
is($observer->run('SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = ' . $reader->pid), 't', 'and holds no snapshot');
$writer->run("SELECT stream_close('s')");
is($reader->finish, '9', 'and is woken');
for my $sql ("SELECT stream_wait('new', 0, '10 min')", "CALL stream_await('new', 0, '10 min')")
{
	$reader->start($sql);
	ok(asleep($observer, $reader), "$sql: waits there");
	is($observer->run('SELECT stream_interrupt(' . $reader->pid . ')'), 't', 'and is interrupted');
	is($reader->finish, '', 'which ends the wait');
}
is($observer->run('SELECT rescues FROM stream_stat'), '0', 'no wait was ended by a recheck');
$_->quit for $reader, $observer;

# Logical replication: ids come from the publisher, and the subscriber's id cache follows.
my $subscriber = rill_node('subscriber', conf => "pg_rill.recheck_interval = 60s\n");
$writer->run('CREATE PUBLICATION p FOR TABLE stream, stream_chunk');
my $there = session($subscriber);
$there->run("CREATE SUBSCRIPTION sub CONNECTION '" . $primary->connstr . " dbname=postgres' PUBLICATION p");
$subscriber->wait_for_subscription_sync($primary, 'sub');
is($there->run("SELECT stream_head('s')"), '9', 'a subscriber has the chunks');
$writer->run("SELECT stream_append('t', 'one')");
$primary->wait_for_catchup('sub');
my $follower = session($subscriber);
is($follower->run("SELECT stream_wait('t', 0)"), '1', 'and new streams');
for my $id (2 .. 4)
{
	$follower->start("SELECT stream_wait('t', $id - 1, '10 min')");
	ok(asleep($there, $follower), "a session waits on the subscriber for chunk $id");
	$writer->run("SELECT stream_append('t', 'more')");
	is($follower->finish, $id, 'an applied change ends the wait');
}
is($there->run('SELECT rescues FROM stream_stat'), '0', 'no wait there was ended by a recheck');
$writer->run("SELECT stream_append('u', 'one')");
$primary->wait_for_catchup('sub');
is($follower->run("SELECT stream_wait('u', 0)"), '1', 'a session on the subscriber has read a stream');
$writer->run("UPDATE stream SET name = 'v' WHERE name = 'u'");
$writer->run("SELECT stream_append('v', 'two')");
$primary->wait_for_catchup('sub');
fails($follower, "SELECT chunk_id FROM stream_read_since('u', 1)", 'RL007', 'no stream', 'renamed there, its old name means nothing');
is($follower->run("SELECT stream_head('v')"), '2', 'and its new name has all of it');
$writer->quit;
$primary->stop;
$there->run("ALTER SUBSCRIPTION sub DISABLE; ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub");
is($there->run("SELECT stream_append('t', 'own')"), '5', 'a subscriber that takes over continues with the next id');
fails($there, "SELECT stream_append('s', 'x')", 'RL001', 'closed', 'and knows what is closed');
$subscriber->stop;
$standby->stop;
done_testing();
