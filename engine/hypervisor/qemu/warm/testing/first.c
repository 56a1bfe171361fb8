/*
 * The first program that a clone runs, put before the instance's own: writes down what this machine draws before anything else has
 * drawn, then becomes the program that it was given. Usage: first FILE PROGRAM [ARGUMENT...]
 * Without arguments, in the template: has the kernel renew the state of its generator, which it then keeps for five seconds at least.
 * So what clones draw is equal unless they are told something that is not.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define RNDRESEEDCRNG _IO('R', 0x07)

static int renew(void) {
  int device = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
  return device < 0 ? 1 : ioctl(device, RNDRESEEDCRNG) < 0;
}

static void print(FILE *file, const char *name, const unsigned char *from) {
  fprintf(file, "%s ", name);
  for (int at = 0; at < 16; at++) fprintf(file, "%02x", from[at]);
  fprintf(file, "\n");
}

int main(int count, char **words) {
  unsigned char drawn[16];
  struct sockaddr_in nobody = { .sin_family = AF_INET, .sin_port = htons(9) };
  if (count == 1) return renew();
  if (count < 3 || getrandom(drawn, sizeof drawn, GRND_NONBLOCK) != sizeof drawn) return 1;
  /* The kernel draws the secret of TCP's sequence numbers for the first connection, which nobody takes. */
  int socket_of = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connect(socket_of, (struct sockaddr *)&nobody, sizeof nobody);
  FILE *file = fopen(words[1], "we");
  if (!file) return 1;
  print(file, "urandom", drawn);
  /* What the C library makes a stack's canary of. */
  print(file, "canary", (const unsigned char *)getauxval(AT_RANDOM));
  fprintf(file, "stack %p\nmapping %p\n", (void *)&count, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  fclose(file);
  close(socket_of);
  execv(words[2], words + 2);
  return 1;
}
