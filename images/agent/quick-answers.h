/*
 * Has TCP acknowledge at once whatever comes by the routes of an interface (RTAX_QUICKACK, what `ip route ... quickack 1` sets). An ssh client
 * whose packet is small waits for the acknowledgement of the one before it (RFC 896), and a server that has nothing to say yet keeps that
 * back for 40 ms: twice in each login. By rtnetlink(7); its headers are the kernel's, which the C library does not bring.
 */
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct netlink_head { uint32_t size; uint16_t type, flags; uint32_t number, port; };
struct route_head { uint8_t family, to_bits, from_bits, tos, table, protocol, scope, type; uint32_t flags; };
struct attribute { uint16_t size, type; };
struct route { struct netlink_head head; struct route_head route; char attributes[1024]; };

enum { netlink_route = 0, new_route = 24, get_route = 26, type_error = 2, type_done = 3 };
enum { is_request = 1, wants_answer = 4, wants_all = 0x300, replaces = 0x100 };
enum { of_interface = 4, of_metrics = 8, of_times = 12, metric_quick_answers = 15, main_table = 254, unicast = 1, on_link = 4 };
enum { routes_limit = 64 };

static size_t padded(size_t size) { return (size + 3) & ~(size_t)3; }

/* Appends one; the room is checked by whoever calls. */
static void append(struct route *route, int type, const void *value, size_t size) {
  struct attribute *to = (struct attribute *)((char *)route + padded(route->head.size));
  to->size = sizeof *to + size;
  to->type = type;
  memcpy(to + 1, value, size);
  route->head.size = padded(route->head.size) + padded(to->size);
}

/* The same route with the metric; 0 where it is none of the interface's or has metrics of its own. */
static int quick(const struct netlink_head *found, uint32_t interface, struct route *into) {
  const struct route *from = (const struct route *)found;
  const char *end = (const char *)found + found->size;
  const char *at = (const char *)found + sizeof from->head + sizeof from->route;
  struct { struct attribute head; uint32_t value; } metric = { { 8, metric_quick_answers }, 1 };
  uint32_t by = 0;
  if (found->size > sizeof *from - 2 * sizeof metric) return 0;
  if (at > end || from->route.table != main_table || from->route.type != unicast) return 0;
  memset(into, 0, sizeof *into);
  into->head.size = sizeof into->head + sizeof into->route;
  into->head.type = new_route;
  into->head.flags = is_request | wants_answer | replaces;
  into->route = from->route;
  /* The others say how the link is, and may not be set. */
  into->route.flags &= on_link;
  for (const struct attribute *each; at + sizeof *each <= end; at += padded(each->size)) {
    each = (const struct attribute *)at;
    if (each->size < sizeof *each || at + each->size > end) return 0;
    if (each->type == of_metrics) return 0;
    if (each->type == of_interface) memcpy(&by, each + 1, sizeof by);
    if (each->type != of_times) append(into, each->type, each + 1, each->size - sizeof *each);
  }
  append(into, of_metrics, &metric, sizeof metric);
  return by == interface;
}

/* How many routes it changed, or -1 with errno. */
static int quick_answers(const char *interface) {
  static struct route routes[routes_limit];
  static char heard[32768];
  struct { struct netlink_head head; struct route_head route; } ask = {
    { sizeof ask, get_route, is_request | wants_all, 1, 0 },
    { .family = AF_INET },
  };
  struct timeval patience = { 5, 0 };
  uint32_t index = if_nametoindex(interface);
  int count = 0, done = 0, left = 0;
  int link = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, netlink_route);
  if (index == 0 || link < 0 || setsockopt(link, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) return -1;
  if (send(link, &ask, sizeof ask, 0) < 0) return -1;
  while (!done) {
    ssize_t size = recv(link, heard, sizeof heard, 0);
    if (size <= 0) return -1;
    for (char *at = heard; at + sizeof(struct netlink_head) <= heard + size;) {
      const struct netlink_head *each = (const struct netlink_head *)at;
      if (each->size < sizeof *each) return errno = EPROTO, -1;
      if (each->type == type_done) done = 1;
      if (each->type == type_error) return errno = EPROTO, -1;
      if (each->type == new_route && count < routes_limit) count += quick(each, index, &routes[count]);
      at += padded(each->size);
    }
  }
  for (int at = 0; at < count; at++) {
    routes[at].head.number = at + 2;
    if (send(link, &routes[at], routes[at].head.size, 0) < 0) return -1;
  }
  for (left = count; left > 0; left--) {
    int32_t wrong;
    if (recv(link, heard, sizeof heard, 0) < (ssize_t)(sizeof(struct netlink_head) + sizeof wrong)) return -1;
    memcpy(&wrong, heard + sizeof(struct netlink_head), sizeof wrong);
    if (wrong != 0) return errno = -wrong, -1;
  }
  return close(link) < 0 ? -1 : count;
}
