/* What changes a file passes here first, whoever calls it: Python, torch, Rust. `watch` sets who is asked, before each.
 * The answer: 0 go on; an errno, with which the call fails; DIE before it; TORN in the middle of a write. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DIE = -1, TORN = -2 };
typedef int (*asked)(const char *what, int file, const char *path, const char *other);
static asked ask;
static __thread int asking;

void watch(asked whom) { ask = whom; }

static void die(void) { for (;;) kill(getpid(), SIGKILL); }

static int refused(const char *what, int file, const char *path, const char *other) {
  if (!ask || asking) return 0;
  int before = errno;
  asking = 1;
  int answer = ask(what, file, path, other);
  asking = 0;
  errno = answer > 0 ? answer : before;
  if (answer == DIE) die();
  return answer;
}

static const char *whole(int folder, const char *path, char *room) { /* a path that begins at an open folder */
  if (folder == AT_FDCWD || path[0] == '/') return path;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
  ssize_t n = readlink(link, room, 4096);
  snprintf(room + n, 4096, "/%s", path);
  return room;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES(name, file, parameters, given, half)                                                                    \
  ssize_t name parameters {                                                                                            \
    int answer = refused("write", file, NULL, NULL);                                                                   \
    if (answer > 0) return -1;                                                                                         \
    if (answer == TORN) { if (REAL(name) half < 0) {} die(); }                                                         \
    return REAL(name) given;                                                                                           \
  }
WRITES(write, file, (int file, const void *from, size_t n), (file, from, n), (file, from, n / 2))
WRITES(pwrite64, file, (int file, const void *from, size_t n, off64_t at), (file, from, n, at), (file, from, n / 2, at))
WRITES(pwrite, file, (int file, const void *from, size_t n, off_t at), (file, from, n, at), (file, from, n / 2, at))
WRITES(writev, file, (int file, const struct iovec *from, int n), (file, from, n), (file, from, n / 2))
WRITES(sendfile, file, (int file, int in, off_t *at, size_t n), (file, in, at, n), (file, in, at, n / 2))
WRITES(sendfile64, file, (int file, int in, off64_t *at, size_t n), (file, in, at, n), (file, in, at, n / 2))
WRITES(copy_file_range, file, (int in, off64_t *at, int file, off64_t *to, size_t n, unsigned flags),
       (in, at, file, to, n, flags), (in, at, file, to, n / 2, flags))

#define CALLS(name, what, file, path, other, parameters, given)                                                        \
  int name parameters {                                                                                                \
    char room[2][8192];                                                                                                \
    (void)room;                                                                                                        \
    return refused(what, file, path, other) > 0 ? -1 : REAL(name) given;                                               \
  }
CALLS(fsync, "fsync", file, NULL, NULL, (int file), (file))
CALLS(fdatasync, "fsync", file, NULL, NULL, (int file), (file))
CALLS(ftruncate64, "write", file, NULL, NULL, (int file, off64_t n), (file, n))
CALLS(ftruncate, "write", file, NULL, NULL, (int file, off_t n), (file, n))
CALLS(rename, "rename", -1, from, to, (const char *from, const char *to), (from, to))
CALLS(renameat, "rename", -1, whole(a, from, room[0]), whole(b, to, room[1]), (int a, const char *from, int b, const char *to),
      (a, from, b, to))
CALLS(renameat2, flags & 2 ? "exchange" : "rename", -1, whole(a, from, room[0]), whole(b, to, room[1]),
      (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags))
CALLS(unlink, "unlink", -1, path, NULL, (const char *path), (path))
CALLS(unlinkat, "unlink", -1, whole(a, path, room[0]), NULL, (int a, const char *path, int flags), (a, path, flags))
CALLS(rmdir, "unlink", -1, path, NULL, (const char *path), (path))
