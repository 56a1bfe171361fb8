/*
 * Makes a clone of a template the machine that it is to be. Runs in the template, waits at a virtio-serial port, and takes one
 * message from the hypervisor's own process; nobody else can write there. No forks and no files besides those that it writes.
 * The protocol is README.md's. It ends by becoming the program that it was given, so nothing listens afterwards.
 *
 * Usage: agent PORT PROGRAM [ARGUMENT...]
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "quick-answers.h"

/* <linux/random.h>, which the C library does not bring. */
#define RNDADDENTROPY _IOW('R', 0x03, int[2])
#define RNDRESEEDCRNG _IO('R', 0x07)

enum { message_limit = 65536, path_limit = 128, login_uid = 1000, quiet_us = 700000 };

/* Everything that may be told, each at most once: its length, and of which characters it is. */
enum kind { bytes, text, digits, hex };
static struct field {
  const char *name;
  enum kind kind;
  size_t least, most;
  char *value;
  size_t size;
} fields[] = {
  { "seed", bytes, 64, 64 },
  { "time-ns", digits, 1, 19 },
  { "host-name", text, 1, 64 },
  { "host-key", bytes, 64, 64 },
  { "authorized-key", text, 0, 8192 },
  { "machine-id", hex, 32, 32 },
  { "uuid", text, 36, 36 },
  { "instance", text, 1, 40 },
  { "mac", text, 17, 17 },
  { "address", text, 7, 15 },
  { "prefix", digits, 1, 2 },
  { "gateway", text, 7, 15 },
  { "resolver", text, 0, 512 },
  { "user-data", bytes, 0, 32768 },
};
enum { field_count = sizeof fields / sizeof fields[0] };

/*
 * What a login reads is told into memory (the template has covered these places with it): the disk's first changes cost more than all
 * the rest, and whoever waits for this machine waits for them. They follow after `go`.
 */
static const char *const covers[] = { "/etc/dropbear", "/home/ec2-user/.ssh", "/etc/machine-id" };
static const char below[] = "/run/fractus/below";

static int port;
static char message[message_limit + 1];

static void say(const char *line) {
  size_t size = strlen(line);
  while (size > 0) {
    ssize_t done = write(port, line, size);
    if (done < 0 && errno != EINTR && errno != EAGAIN) return;
    if (done > 0) line += done, size -= done;
  }
}

/* Nothing of the message is told back: the reason is one of our own words. */
static void refuse(const char *why) {
  char line[160];
  snprintf(line, sizeof line, "refused %s\n", why);
  say(line);
}

/* The port gives no bytes and no error while nobody is connected. */
static void read_all(char *into, size_t size) {
  while (size > 0) {
    ssize_t got = read(port, into, size);
    if (got > 0) into += got, size -= got;
    else nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
  }
}

/* A line without its end. 0 when it is longer. */
static int read_line(char *into, size_t size) {
  for (size_t at = 0; at < size; at++) {
    read_all(into + at, 1);
    if (into[at] == '\n') return into[at] = 0, 1;
  }
  return 0;
}

static struct field *field(const char *name) {
  for (int at = 0; at < field_count; at++)
    if (strcmp(fields[at].name, name) == 0) return &fields[at];
  return NULL;
}

static const char *value(const char *name) { return field(name)->value; }

static int holds(enum kind kind, char character) {
  switch (kind) {
    case bytes: return 1;
    case text: return (character >= ' ' && character < 127) || character == '\n';
    case digits: return character >= '0' && character <= '9';
    default: return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'f');
  }
}

/* A decimal number below 10^6 up to `end`; -1 for anything else. */
static long number(const char *from, const char *end) {
  long result = 0;
  if (from == end || end - from > 6) return -1;
  for (; from < end; from++) {
    if (*from < '0' || *from > '9') return -1;
    result = result * 10 + (*from - '0');
  }
  return result;
}

/* "name size\n", the bytes, "\n", over and over. The end of each value is made a zero byte. NULL, or what is wrong. */
static const char *parse(char *at, size_t size) {
  char *end = at + size;
  while (at < end) {
    char *line = memchr(at, '\n', end - at);
    char *space = line ? memchr(at, ' ', line - at) : NULL;
    if (!space) return "no field";
    long length = number(space + 1, line);
    *space = 0;
    struct field *found = field(at);
    if (!found) return "unknown field";
    if (found->value) return "a field twice";
    if (length < (long)found->least || length > (long)found->most) return "a field of a bad length";
    if (length >= end - line - 1 || line[1 + length] != '\n') return "a field that is cut off";
    found->value = line + 1;
    found->size = length;
    for (long i = 0; i < length; i++)
      if (!holds(found->kind, found->value[i])) return "a field of bad characters";
    found->value[length] = 0;
    at = found->value + length + 1;
  }
  for (int i = 0; i < field_count; i++)
    if (!fields[i].value) return "a field is missing";
  return NULL;
}

static int put(const char *path, const void *content, size_t size, mode_t mode, uid_t owner) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
  if (file < 0) return -1;
  int good = write(file, content, size) == (ssize_t)size && fchmod(file, mode) == 0 && fchown(file, owner, owner) == 0;
  return close(file) == 0 && good ? 0 : -1;
}

static int put_field(const char *path, const char *name, mode_t mode) {
  return put(path, value(name), field(name)->size, mode, 0);
}

/* Before anything that draws random numbers: all clones wake with the same state. */
static int give_entropy(void) {
  struct { int bits, size; unsigned char pool[64]; } input = { 512, 64 };
  int device = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
  if (device < 0) return -1;
  memcpy(input.pool, value("seed"), 64);
  int result = ioctl(device, RNDADDENTROPY, &input);
  if (result == 0) result = ioctl(device, RNDRESEEDCRNG);
  explicit_bzero(&input, sizeof input);
  explicit_bzero(field("seed")->value, 64);
  close(device);
  return result;
}

static int set_clock(void) {
  long long now = strtoll(value("time-ns"), NULL, 10);
  return clock_settime(CLOCK_REALTIME, &(struct timespec){ now / 1000000000, now % 1000000000 });
}

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* When `ready` was said, by the clock that was set before. */
static long long said_ns;

/*
 * "time HEARD SAYING": when the other end heard `ready`, and when it says this. What it told first was late by as long as this machine took
 * to wake. The way there and the way back count the same, as in RFC 5905 (NTP). A line of another kind, or a wild one, changes nothing.
 */
static void correct_clock(const char *line) {
  long long heard, saying, now = now_ns();
  char extra;
  if (sscanf(line, "time %19lld %19lld%c", &heard, &saying, &extra) != 2) return;
  long long ahead = (heard - said_ns) / 2 + (saying - now) / 2;
  if (ahead > -60000000000LL && ahead < 60000000000LL) {
    now = now_ns() + ahead;
    clock_settime(CLOCK_REALTIME, &(struct timespec){ now / 1000000000, now % 1000000000 });
  }
}

/* The template has never written to its disk. */
static int make_root_writable(void) { return mount(NULL, "/", NULL, MS_REMOUNT | MS_NOATIME, NULL); }

static int set_name(void) { return sethostname(value("host-name"), field("host-name")->size); }

/* Below `root`. dropbear's own format: a name, then both halves of the key, each after its length. */
static int put_host_key(const char *root) {
  static const char head[] = "\0\0\0\013ssh-ed25519\0\0\0\100";
  enum { size = sizeof head - 1 };
  char key[size + 64], path[path_limit];
  memcpy(key, head, size);
  memcpy(key + size, value("host-key"), 64);
  snprintf(path, sizeof path, "%s/etc/dropbear/dropbear_ed25519_host_key", root);
  int result = put(path, key, sizeof key, 0600, 0);
  explicit_bzero(key, sizeof key);
  return result;
}

/*
 * A line, behind those that stand there: who may log in to an image that was made of an instance may log in to its instances, as on EC2.
 * `others`: how many bytes those were.
 */
static off_t others;

static int has_line(const char *in, const struct field *line) {
  for (const char *at = in; (at = strstr(at, line->value)); at++)
    if (at == in || at[-1] == '\n') return 1;
  return 0;
}

static int put_login_key(const char *root) {
  static char there[65536];
  char path[path_limit];
  struct field *key = field("authorized-key");
  snprintf(path, sizeof path, "%s/home/ec2-user/.ssh/authorized_keys", root);
  if (key->size == 0) return 0;
  int file = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return -1;
  others = lseek(file, 0, SEEK_END);
  ssize_t size = pread(file, there, sizeof there - 1, 0);
  int good = size == others;
  there[good ? size : 0] = 0;
  if (good && !has_line(there, key)) {
    if (size > 0 && there[size - 1] != '\n') good = write(file, "\n", 1) == 1;
    good = good && write(file, key->value, key->size) == (ssize_t)key->size;
  }
  good = good && fchmod(file, 0600) == 0 && fchown(file, login_uid, login_uid) == 0;
  return close(file) == 0 && good ? 0 : -1;
}

static int put_machine_id(const char *root) {
  char path[path_limit];
  snprintf(path, sizeof path, "%s/etc/machine-id", root);
  return put_field(path, "machine-id", 0444);
}

static int set_host_key(void) { return put_host_key(""); }
static int set_login_key(void) { return put_login_key(""); }
static int set_machine_id(void) { return put_machine_id(""); }

/* Of the instance that the image was made of: dropbear makes others when somebody asks for one. */
static int remove_host_keys(const char *root) {
  static const char *const kinds[] = { "rsa", "ecdsa", "dss" };
  char path[path_limit];
  for (size_t at = 0; at < sizeof kinds / sizeof kinds[0]; at++) {
    snprintf(path, sizeof path, "%s/etc/dropbear/dropbear_%s_host_key", root, kinds[at]);
    if (unlink(path) < 0 && errno != ENOENT) return -1;
  }
  return 0;
}

/* To the disk, whose own places stand below the covers; then the covers go, each in one step, under whoever reads there. */
static int settle(void) {
  if (mkdir(below, 0700) < 0 && errno != EEXIST) return -1;
  if (mount("/", below, NULL, MS_BIND, NULL) < 0) return -1;
  if (remove_host_keys(below) < 0 || put_host_key(below) < 0) return -1;
  if (put_login_key(below) < 0 || put_machine_id(below) < 0) return -1;
  explicit_bzero(field("host-key")->value, 64);
  for (size_t at = 0; at < sizeof covers / sizeof covers[0]; at++)
    if (umount2(covers[at], MNT_DETACH) < 0) return -1;
  return umount2(below, MNT_DETACH);
}

/* The firmware's tables in memory are the template's until the next boot. A rehearsal leaves the places, and who comes writes there. */
static int set_firmware_names(void) {
  static int placed;
  static const char *const names[][2] = {
    { "product_uuid", "uuid" },
    { "product_serial", "uuid" },
    { "board_asset_tag", "instance" },
  };
  if (mkdir("/run/fractus/dmi", 0755) < 0 && errno != EEXIST) return -1;
  for (int at = 0; at < 3; at++) {
    char shown[path_limit], ours[path_limit], line[64];
    snprintf(shown, sizeof shown, "/sys/class/dmi/id/%s", names[at][0]);
    snprintf(ours, sizeof ours, "/run/fractus/dmi/%s", names[at][0]);
    int size = snprintf(line, sizeof line, "%s\n", value(names[at][1]));
    if (put(ours, line, size, at == 2 ? 0444 : 0400, 0) < 0) return -1;
    if (!placed && mount(ours, shown, NULL, MS_BIND, NULL) < 0) return -1;
  }
  placed = 1;
  return 0;
}

static int mac_of(const char *name, struct sockaddr *into) {
  unsigned part[6];
  const char *form = "%2x:%2x:%2x:%2x:%2x:%2x";
  if (sscanf(value(name), form, &part[0], &part[1], &part[2], &part[3], &part[4], &part[5]) != 6) return -1;
  into->sa_family = ARPHRD_ETHER;
  for (int at = 0; at < 6; at++) into->sa_data[at] = part[at];
  return 0;
}

static int address_of(const char *name, struct sockaddr *into) {
  struct sockaddr_in *address = (struct sockaddr_in *)into;
  memset(address, 0, sizeof *address);
  address->sin_family = AF_INET;
  return inet_pton(AF_INET, value(name), &address->sin_addr) == 1 ? 0 : -1;
}

/* What DHCP will say again: address, the router, and the way through it. The interface is up since the template. */
static int set_network(void) {
  struct ifreq interface = { .ifr_name = "eth0" };
  struct rtentry near = { .rt_flags = RTF_UP | RTF_HOST, .rt_dev = "eth0" };
  struct rtentry far = { .rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = "eth0" };
  struct sockaddr_in *mask = (struct sockaddr_in *)&interface.ifr_netmask;
  int prefix = atoi(value("prefix"));
  if (prefix < 1 || prefix > 32) return errno = EINVAL, -1;
  int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (any < 0 || mac_of("mac", &interface.ifr_hwaddr) < 0 || ioctl(any, SIOCSIFHWADDR, &interface) < 0) return -1;
  if (address_of("address", &interface.ifr_addr) < 0 || ioctl(any, SIOCSIFADDR, &interface) < 0) return -1;
  mask->sin_family = AF_INET;
  mask->sin_addr.s_addr = htonl(0xffffffffu << (32 - prefix));
  if (ioctl(any, SIOCSIFNETMASK, &interface) < 0) return -1;
  interface.ifr_flags = IFF_UP | IFF_BROADCAST | IFF_MULTICAST;
  if (ioctl(any, SIOCSIFFLAGS, &interface) < 0) return -1;
  if (address_of("gateway", &near.rt_dst) < 0 || address_of("address", &near.rt_genmask) < 0) return -1;
  ((struct sockaddr_in *)&near.rt_genmask)->sin_addr.s_addr = 0xffffffffu;
  if (ioctl(any, SIOCADDRT, &near) < 0 && errno != EEXIST) return -1;
  address_of("gateway", &far.rt_gateway);
  far.rt_dst.sa_family = far.rt_genmask.sa_family = AF_INET;
  if (ioctl(any, SIOCADDRT, &far) < 0 && errno != EEXIST) return -1;
  if (close(any) < 0 || quick_answers("eth0") < 0) return -1;
  char lease[32];
  int size = snprintf(lease, sizeof lease, "%s/%d\n", value("address"), prefix);
  if (put("/run/fractus/lease-eth0", lease, size, 0644, 0) < 0) return -1;
  if (put("/run/fractus/address-given", "", 0, 0644, 0) < 0) return -1;
  return put_field("/run/resolv.conf", "resolver", 0644);
}

/* The template had none: its link address is nobody's. */
static int allow_version_6(void) {
  int file = open("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? 0 : -1;
  int good = write(file, "0", 1) == 1;
  return close(file) == 0 && good ? 0 : -1;
}

/* What the metadata service would tell, where the instance's programs look for it. */
static int leave_words(void) {
  if (put_field("/var/lib/fractus/system-uuid", "uuid", 0600) < 0) return -1;
  if (field("authorized-key")->size > 0 && put_field("/run/fractus/openssh-key", "authorized-key", 0644) < 0) return -1;
  if (put_field("/run/fractus/instance-id", "instance", 0644) < 0) return -1;
  if (put_field("/run/fractus/local-hostname", "host-name", 0644) < 0) return -1;
  return field("user-data")->size == 0 ? 0 : put_field("/run/fractus/user-data", "user-data", 0600);
}

/* What cannot be taken back, or would let a rehearsal's login write, is not rehearsed. */
enum when { always, once };
struct step { const char *name; int (*take)(void); enum when when; };
/* Until they are taken this machine is nobody. */
static const struct step steps[] = {
  { "entropy", give_entropy, always },
  { "clock", set_clock, always },
  { "root", make_root_writable, once },
  { "host name", set_name, always },
  { "host key", set_host_key, always },
  { "login key", set_login_key, always },
  { "machine id", set_machine_id, always },
  { "firmware's names", set_firmware_names, always },
  { "network", set_network, always },
};
/* What nobody who logs in can tell from having been done before. */
static const struct step later_steps[] = {
  { "disk", settle, once },
  { "version 6", allow_version_6, once },
  { "metadata", leave_words, once },
};

/* A machine that waits in a pool plays through an identity that is nobody's, so that what a login runs is translated when one comes. */
static int forget(void) {
  struct ifreq interface = { .ifr_name = "eth0", .ifr_addr.sa_family = AF_INET };
  if (unlink("/etc/dropbear/dropbear_ed25519_host_key") < 0) return -1;
  if (truncate("/home/ec2-user/.ssh/authorized_keys", others) < 0) return -1;
  /* Without an address: the routes go with it. */
  int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (any < 0 || ioctl(any, SIOCSIFADDR, &interface) < 0) return -1;
  close(any);
  for (int at = 0; at < field_count; at++) fields[at].value = NULL, fields[at].size = 0;
  explicit_bzero(message, sizeof message);
  /* A machine that rehearses has a disk of its own; with nobody logged in, nothing more is written there. */
  return make_root_writable();
}

enum outcome { refused, rehearsed, somebody };

/* Whether this machine is what it should be. Said to whoever asked either way. */
static enum outcome become(void) {
  char line[64], word[16], extra;
  unsigned long size;
  if (!read_line(line, sizeof line) || sscanf(line, "%15s 1 %5lu%c", word, &size, &extra) != 2 || size > message_limit)
    return refuse("no identity of version 1"), refused;
  int rehearsal = strcmp(word, "rehearsal") == 0;
  if (!rehearsal && strcmp(word, "identity") != 0) return refuse("no identity of version 1"), refused;
  read_all(message, size);
  const char *wrong = parse(message, size);
  if (wrong) return refuse(wrong), refused;
  for (size_t at = 0; at < sizeof steps / sizeof steps[0]; at++) {
    if ((rehearsal && steps[at].when == once) || steps[at].take() == 0) continue;
    snprintf(line, sizeof line, "%s: %s", steps[at].name, strerror(errno));
    return refuse(line), refused;
  }
  said_ns = now_ns();
  say("ready\n");
  if (!rehearsal) return somebody;
  if (!read_line(line, sizeof line) || strcmp(line, "over") != 0 || forget() < 0) return refuse("no end of it"), refused;
  say("waiting 1\n");
  return rehearsed;
}

/* Too late to refuse. It boots, and finds out by itself who it is; the console's log says why. */
static void start_anew(const char *step) {
  char line[128];
  int console = open("/dev/console", O_WRONLY | O_CLOEXEC | O_NOCTTY);
  int size = snprintf(line, sizeof line, "fractus: agent: %s: %s\n", step, strerror(errno));
  if (console >= 0 && write(console, line, size) < 0) close(console);
  for (;;) reboot(RB_AUTOBOOT), sleep(1);
}

int main(int count, char **words) {
  char line[64], drawn;
  if (count < 3) return 2;
  port = open(words[1], O_RDWR | O_CLOEXEC);
  if (port < 0) return 1;
  /* Waits until the kernel's generator is seeded: a clone must not have to. */
  if (getrandom(&drawn, 1, 0) != 1) return 1;
  say("waiting 1\n");
  enum outcome outcome;
  do outcome = become(); while (outcome == rehearsed);
  /* A clone that was half made is nobody: it waits for its end. */
  if (outcome == refused) for (;;) pause();
  /* Whoever started us has written down that we are somebody, and will not start us anew. */
  while (!(read_line(line, sizeof line) && strcmp(line, "go") == 0)) correct_clock(line);
  close(port);
  for (size_t at = 0; at < sizeof later_steps / sizeof later_steps[0]; at++)
    if (later_steps[at].take() < 0) start_anew(later_steps[at].name);
  int has_work = field("user-data")->size > 0;
  explicit_bzero(message, sizeof message);
  /* Whoever waits for this machine logs in now, and nobody for the rest: it takes half a second of the same emulated CPU. */
  if (!has_work) usleep(quiet_us);
  execv(words[2], words + 2);
  return 1;
}
