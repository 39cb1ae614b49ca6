# Diverging histories: a standby is promoted without the last chunks and gives their ids to others, a backup becomes a
# primary, a point-in-time recovery goes back in time. Readers get an error (I8), and equal (chunk_id, epoch) means the
# same chunk.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $primary = rill_node('primary', init => [ allows_streaming => 1, has_archiving => 1 ]);
my $writer = session($primary);
$writer->run("SELECT stream_append('s', 'a'), stream_append('s', 'b'), stream_append('ended', 'x')");
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
# Its settings come with the backup, but it must not write into the primary's archive. Nor must the servers below.
$standby->append_conf('postgresql.conf', "archive_mode = off\n");
$standby->start;
$writer->run("SELECT stream_append('s', 'c'), stream_append('s', 'd'), stream_append('s', 'e')");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

# The standby is disconnected, and the primary continues.
$standby->append_conf('postgresql.conf', "primary_conninfo = ''\n");
$standby->reload;
ok($standby->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver'), 'the standby is disconnected');
$writer->run("SELECT pg_create_restore_point('here')");
$writer->run("SELECT stream_append('s', 'f'), stream_append('s', 'g'), stream_append('s', 'h', eof => false); SELECT stream_close('ended'); SELECT stream_append('young', 'y')");
my $segment = $writer->run('SELECT pg_walfile_name(pg_switch_wal())');
until_true($writer, "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver") or die 'not archived';

# What a reader has read from the old primary.
sub history
{
	my ($session) = @_;
	my $rows = $session->run("SELECT chunk_id, epoch, convert_from(data, 'UTF8') FROM stream_read_since('s', 0)");
	return map { my ($id, $epoch, $data) = split /\|/; ($id => [ $epoch, $data ]) } split /\n/, $rows;
}
my %old = history($writer);
is(join(' ', map { "$_:$old{$_}[1]" } sort { $a <=> $b } keys %old), '1:a 2:b 3:c 4:d 5:e 6:f 7:g 8:h', 'a reader has read everything from the primary');
my ($ended_epoch) = $writer->run("SELECT epoch FROM stream_read_since('ended', 0) WHERE eof");
my $young_epoch = $writer->run("SELECT epoch FROM stream_read_since('young', 0)");

my $reader = session($standby);
is(chunks($reader, 's', 8), '', 'on the lagging standby its cursor is not an error');
is($reader->run("SELECT stream_verify('s', 8, $old{8}[0]) IS NULL"), 't', 'and cannot be verified yet');
$primary->stop('immediate');
$writer->quit;
$standby->promote;

# The new primary has given fewer ids: every use of the cursor fails.
my $new = session($standby);
for (
	[ 'stream_verify', "SELECT stream_verify('s', 8, $old{8}[0])" ],
	[ 'stream_read_since', "SELECT * FROM stream_read_since('s', 8)" ],
	[ 'stream_read_since of a session from before the promotion', "SELECT * FROM stream_read_since('s', 8)", $reader ],
	[ 'stream_read_since one id ahead', "SELECT * FROM stream_read_since('s', 6)" ],
	[ 'stream_read_many', "SELECT * FROM stream_read_many(ARRAY['ended', 's'], ARRAY[0, 8])" ],
	[ 'stream_wait', "SELECT stream_wait('s', 8, '1 hour')" ],
	[ 'stream_await', "CALL stream_await('s', 8, '1 hour')" ])
{
	fails($_->[2] // $new, $_->[1], 'RL003', 'not part of the history', "$_->[0]: a cursor ahead of the new primary is diverged");
}
is($new->run("SELECT * FROM stream_wait_many(ARRAY['s'], ARRAY[8], '1 hour')"), 's||f|RL003', 'stream_wait_many: the same');
is($new->run("SELECT sqlstate FROM stream_fetch(ARRAY['s'], ARRAY[8])"), 'RL003', 'stream_fetch: the same');
fails($new, "SELECT stream_verify('ended', 2, $ended_epoch)", 'RL003', 'history', 'an EOF that did not survive is diverged');
fails($new, "SELECT * FROM stream_read_since('young', 1)", 'RL007', 'no stream', 'a stream that did not survive does not exist');
fails($new, "SELECT stream_verify('young', 1, $young_epoch)", 'RL007', 'no stream', 'nor can its cursor be verified');

# Readers of what survived continue.
is($new->run("SELECT stream_verify('s', 5, $old{5}[0])"), 't', 'the last surviving chunk is verified');
is(chunks($new, 's', 3), '4:d 5:e', 'a reader before it continues');

# Other chunks get the lost ids.
$new->run("SELECT stream_append('s', 'F'), stream_append('s', 'G'), stream_append('s', 'H'), stream_append('s', 'I')");
$new->run("SELECT stream_append('young', 'Y'), stream_append('ended', 'X')");
my %now = history($new);
is(join(' ', map { "$_:$now{$_}[1]" } sort { $a <=> $b } keys %now), '1:a 2:b 3:c 4:d 5:e 6:F 7:G 8:H 9:I', 'the new primary gives the lost ids to other chunks');
for my $id (6 .. 8)
{
	fails($new, "SELECT stream_verify('s', $id, $old{$id}[0])", 'RL003', 'history', "stream_verify: chunk $id is now another chunk");
}
is($new->run("SELECT sqlstate FROM stream_fetch(ARRAY['s'], ARRAY[8], ARRAY[$old{8}[0]])"), 'RL003', 'stream_fetch with the epoch: the same');
fails($new, "SELECT stream_verify('young', 1, $young_epoch)", 'RL003', 'history', 'the stream created again is another stream');
fails($new, "SELECT stream_verify('ended', 2, $ended_epoch)", 'RL003', 'history', 'the chunk in place of the EOF is another chunk');
is($new->run("SELECT stream_verify('s', 9, $now{9}[0])"), 't', 'its own chunks are verified');

# (id, epoch) is equal if and only if the chunk is the same.
sub same_chunks
{
	my ($what, $one, $two) = @_;
	my @wrong = grep { ($one->{$_}[0] == $two->{$_}[0]) != ($one->{$_}[1] eq $two->{$_}[1]) } grep { $two->{$_} } keys %$one;
	is("@wrong", '', "(id, epoch) is equal if and only if the chunk is the same: $what");
	return;
}
same_chunks('old and new primary', \%old, \%now);
$_->quit for $new, $reader;

# A base backup started as a primary, and a point-in-time recovery
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($primary, 'base');
$copy->append_conf('postgresql.conf', "archive_mode = off\n");
$copy->start;
my $session = session($copy);
$session->run("SELECT stream_append('s', convert_to('copy ' || i, 'UTF8')) FROM generate_series(1, 8) i");
my %copy = history($session);
is($copy{2}[1] . $copy{2}[0], "b$old{2}[0]", 'a base backup has the chunks of its primary');
same_chunks('a base backup and its primary', \%old, \%copy);
same_chunks('a base backup and the promoted standby', \%now, \%copy);
fails($session, "SELECT stream_verify('s', 8, $old{8}[0])", 'RL003', 'history', 'a cursor of the primary is diverged on the copy');
$session->quit;
$copy->stop;

my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($primary, 'base', has_restoring => 1, standby => 0);
$restored->append_conf('postgresql.conf', "archive_mode = off\nrecovery_target_name = 'here'\nrecovery_target_timeline = current\nrecovery_target_action = promote\n");
$restored->start;
$restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'the recovery did not end';
$session = session($restored);
is(chunks($session, 's'), '1:a 2:b 3:c 4:d 5:e', 'a point-in-time recovery has the chunks up to its target');
fails($session, "SELECT * FROM stream_read_since('s', 8)", 'RL003', 'history', 'a cursor from after it is diverged');
is($session->run("SELECT stream_verify('s', 5, $old{5}[0])"), 't', 'one from before it is valid');
$session->run("SELECT stream_append('s', convert_to('restored ' || i, 'UTF8')) FROM generate_series(1, 8) i");
my %restored = history($session);
same_chunks('a point-in-time recovery and its primary', \%old, \%restored);
same_chunks('a point-in-time recovery and the promoted standby', \%now, \%restored);
$session->quit;
$restored->stop;

# The old primary, started again, is unchanged.
$primary->start;
$session = session($primary);
my %again = history($session);
is_deeply(\%again, \%old, 'the old primary, started again, has its own chunks');
$session->run("SELECT stream_append('s', 'i')");
%again = history($session);
same_chunks('the old primary, continued, and the new one', \%again, \%now);
$session->quit;
$_->stop for $primary, $standby;
done_testing();
