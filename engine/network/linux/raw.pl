# For tests: whole frames out of and into a device. Not even "use strict": perl is carried into a guest without its modules.
#   raw.pl send DEVICE   stdin: "COUNT HEX [PORT_AT CHECKSUM_AT]": the 16 bits at PORT_AT count up, those at CHECKSUM_AT (0: none) down
#   raw.pl hear DEVICE   prints every frame that comes in, as hex, after a line "hearing"
$| = 1;
my ($what, $device) = @ARGV;
socket(my $socket, 17, 3, unpack("S", pack("n", 3))) or die "socket: $!";
my $request = pack("a16 x24", $device);
ioctl($socket, 0x8933, $request) or die "$device: $!";
my $index = unpack("x16 i", $request);
my $address = pack("S n i S C C a8", 17, 3, $index, 0, 0, 6, "");
if ($what eq "hear") {
  bind($socket, $address) or die "bind: $!";
  print "hearing\n";
  while (defined(my $from = recv($socket, my $frame, 65536, 0))) {
    print unpack("H*", $frame), "\n" unless unpack("x10 C", $from) == 4;
  }
  die "recv: $!";
}
while (my $line = <STDIN>) {
  my ($count, $hex, $port_at, $checksum_at) = split " ", $line;
  my $frame = pack("H*", $hex);
  for my $round (1 .. $count) {
    send($socket, $frame, 0, $address) or do { print "refused: $!\n"; last };
    next unless defined $port_at;
    substr($frame, $port_at, 2) = pack("n", (unpack("n", substr($frame, $port_at, 2)) + 1) & 0xffff);
    next unless $checksum_at;
    my $sum = unpack("n", substr($frame, $checksum_at, 2)) - 1;
    substr($frame, $checksum_at, 2) = pack("n", $sum <= 0 ? $sum + 0xffff : $sum);
  }
  print "sent\n";
}
