/*
 * Lets in for a minute whoever has a key of EC2 Instance Connect. Reads what the ssh server says: it has no AuthorizedKeysCommand, so
 * whoever connects is held (he has exchanged no key yet) until authorized_keys has the keys that the metadata service offers at this
 * moment, and none that it offered before. No forks: an emulated machine takes 50 ms for a program, and a millisecond for this.
 *
 * Usage: temporary-keys < LOG
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { answer_limit = 65536, file_limit = 262144, token_limit = 128, login_uid = 1000 };

static const char keys_path[] = "/latest/meta-data/managed-ssh-keys/active-keys/ec2-user";
static const char home[] = "/home/ec2-user";
static const char begin_mark[] = "# for a minute\n", end_mark[] = "# from here on always\n";

static char token[token_limit + 1];
static char answer[answer_limit + 1];
static char kept[file_limit + 1], wanted[file_limit + answer_limit + 64];

/* One question over a connection of its own, with a second for each step. The status, 0 where there is no whole answer; `body` is within `answer`. */
static int ask(const char *method, const char *path, const char *header, const char *value, char **body) {
  struct sockaddr_in service = { .sin_family = AF_INET, .sin_port = htons(80) };
  struct timeval patience = { 1, 0 };
  char question[512];
  int status = 0;
  size_t size = 0;
  service.sin_addr.s_addr = inet_addr("169.254.169.254");
  int length = snprintf(question, sizeof question, "%s %s HTTP/1.0\r\nHost: 169.254.169.254\r\n%s: %s\r\n\r\n", method, path, header, value);
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return 0;
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(connection, (struct sockaddr *)&service, sizeof service) == 0 && write(connection, question, length) == length) {
    ssize_t got;
    while (size < answer_limit && (got = read(connection, answer + size, answer_limit - size)) > 0) size += got;
    answer[size] = 0;
    char *end = strstr(answer, "\r\n\r\n");
    char *said = strcasestr(answer, "\r\ncontent-length:");
    size_t told = 0;
    if (end && sscanf(answer, "HTTP/1.%*1d %3d", &status) == 1) {
      *body = end + 4;
      /* One that is cut off is none. */
      if (said && said < end && (sscanf(said + 17, "%zu", &told) != 1 || told != size - (*body - answer))) status = 0;
    } else status = 0;
  }
  close(connection);
  return status;
}

static int take_token(void) {
  char *body;
  token[0] = 0;
  if (ask("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "21600", &body) != 200) return 0;
  size_t size = strspn(body, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/");
  if (size == 0 || size > token_limit || body[size] != 0) return 0;
  memcpy(token, body, size + 1);
  return 1;
}

/* The keys offered now, a line for each; empty where there are none or nobody answers. */
static const char *offered(void) {
  char *body;
  for (int turn = 0; turn < 2; turn++) {
    if (!token[0] && !take_token()) return "";
    int status = ask("GET", keys_path, "X-aws-ec2-metadata-token", token, &body);
    if (status == 200) return body;
    if (status != 401) return "";
    token[0] = 0;
  }
  return "";
}

/* "ssh-ed25519 AAAA... comment": nothing before it that would be an option. */
static int is_key(const char *line, size_t size) {
  size_t word = 0;
  if (size > 8 && strncmp(line, "ssh-rsa ", 8) == 0) word = 8;
  else if (size > 12 && strncmp(line, "ssh-ed25519 ", 12) == 0) word = 12;
  return word > 0 && line[word] != ' ';
}

/* What stands in the file already without what stood between the marks, then what is offered between them. */
static size_t put_together(const char *offer) {
  size_t size = 0;
  int within = 0;
  for (const char *line = kept, *next; *line; line = next) {
    const char *end = strchr(line, '\n');
    next = end ? end + 1 : line + strlen(line);
    if (strncmp(line, begin_mark, sizeof begin_mark - 1) == 0) within = 1;
    if (!within) {
      memcpy(wanted + size, line, next - line);
      size += next - line;
      /* The last line may lack its end. */
      if (!end) wanted[size++] = '\n';
    }
    if (strncmp(line, end_mark, sizeof end_mark - 1) == 0) within = 0;
  }
  size_t before = size;
  for (const char *line = offer, *next; *line; line = next) {
    const char *end = strchr(line, '\n');
    next = end ? end + 1 : line + strlen(line);
    size_t length = (end ? end : next) - line;
    if (!is_key(line, length)) continue;
    if (size == before) memcpy(wanted + size, begin_mark, sizeof begin_mark - 1), size += sizeof begin_mark - 1;
    memcpy(wanted + size, line, length);
    size += length;
    wanted[size++] = '\n';
  }
  if (size > before) memcpy(wanted + size, end_mark, sizeof end_mark - 1), size += sizeof end_mark - 1;
  return size;
}

static void put_keys(int folder, const char *offer) {
  size_t had = 0;
  int file = openat(folder, "authorized_keys", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0 && errno != ENOENT) return;
  if (file >= 0) {
    ssize_t got;
    while (had <= file_limit && (got = read(file, kept + had, file_limit + 1 - had)) > 0) had += got;
    close(file);
    /* One so long, or of no text, is left as it is. */
    if (had > file_limit || memchr(kept, 0, had)) return;
  }
  kept[had] = 0;
  size_t size = put_together(offer);
  if (size == had && memcmp(kept, wanted, size) == 0) return;
  unlinkat(folder, ".new-keys", 0);
  file = openat(folder, ".new-keys", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return;
  int good = write(file, wanted, size) == (ssize_t)size && fchown(file, login_uid, login_uid) == 0;
  if (close(file) != 0 || !good || renameat(folder, ".new-keys", folder, "authorized_keys") != 0) unlinkat(folder, ".new-keys", 0);
}

static void renew(void) {
  /* What was offered before a restart may still stand there. */
  static int has_some = 1;
  const char *offer = offered();
  if (!*offer && !has_some) return;
  int above = open(home, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (above < 0) return;
  if (mkdirat(above, ".ssh", 0700) == 0) fchownat(above, ".ssh", login_uid, login_uid, AT_SYMLINK_NOFOLLOW);
  int folder = openat(above, ".ssh", O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  close(above);
  if (folder < 0) return;
  put_keys(folder, offer);
  close(folder);
  has_some = *offer != 0;
}

int main(void) {
  static char line[1024];
  int pid;
  /* "[123] Nov 21 20:00:00 Child connection from 192.0.2.1:4000" */
  while (fgets(line, sizeof line, stdin)) {
    if (!strstr(line, " Child connection from ") || sscanf(line, "[%d]", &pid) != 1 || pid <= 1) continue;
    kill(pid, SIGSTOP);
    renew();
    kill(pid, SIGCONT);
  }
  return 0;
}
