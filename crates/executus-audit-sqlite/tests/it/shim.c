/* A file layer for tests, preloaded into a child (LD_PRELOAD). It touches the files of one folder.
 *
 * SHIM_FOLDER  the folder
 * SHIM_HOLD    when set, what is written stays in memory until it is synced: a process that is
 *              killed loses what it had not synced, as if the power had failed
 * SHIM_MODE    a file; its first character says what fails: `f` every write, with ENOSPC, `s`
 *              every sync, with EIO, anything else nothing
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct piece {
  struct piece *next;
  dev_t dev;
  ino_t ino;
  off_t at;
  size_t len;
  char bytes[];
};

static struct piece *first;
static struct piece **last = &first;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Whether the file is one of ours. SQLite's shared memory is no part of what is kept. */
static int ours(int fd) {
  static const char *folder;
  char link[64], path[4096];
  if (!folder && !(folder = getenv("SHIM_FOLDER"))) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t len = readlink(link, path, sizeof path - 1);
  if (len < 0) return 0;
  path[len] = 0;
  return !strncmp(path, folder, strlen(folder)) && !strstr(path, "-shm");
}

static char mode(void) {
  const char *path = getenv("SHIM_MODE");
  char found = 'n';
  if (!path) return found;
  int saved = errno;
  int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
  if (fd >= 0) {
    if (syscall(SYS_read, fd, &found, 1) != 1) found = 'n';
    syscall(SYS_close, fd);
  }
  errno = saved;
  return found;
}

static int holds(void) { return getenv("SHIM_HOLD") != NULL; }

static int who(int fd, struct stat *stat) { return REAL(fstat)(fd, stat); }

static int is_of(const struct piece *piece, const struct stat *stat) {
  return piece->dev == stat->st_dev && piece->ino == stat->st_ino;
}

static ssize_t hold(int fd, const void *bytes, size_t len, off_t at) {
  struct stat stat;
  if (who(fd, &stat)) return -1;
  struct piece *piece = malloc(sizeof *piece + len);
  if (!piece) { errno = ENOMEM; return -1; }
  *piece = (struct piece){.dev = stat.st_dev, .ino = stat.st_ino, .at = at, .len = len};
  memcpy(piece->bytes, bytes, len);
  pthread_mutex_lock(&lock);
  *last = piece;
  last = &piece->next;
  pthread_mutex_unlock(&lock);
  return len;
}

/* Forgets the pieces of a file, or only what lies behind `end`; writes them before if `fd` >= 0. */
static int drain(const struct stat *stat, int fd, off_t end) {
  int failed = 0;
  pthread_mutex_lock(&lock);
  for (struct piece **at = &first; *at;) {
    struct piece *piece = *at;
    if (!is_of(piece, stat) || (fd < 0 && piece->at < end)) {
      if (is_of(piece, stat) && piece->at + (off_t)piece->len > end) piece->len = end - piece->at;
      at = &piece->next;
      continue;
    }
    if (fd >= 0 && syscall(SYS_pwrite64, fd, piece->bytes, piece->len, piece->at) < 0) failed = -1;
    *at = piece->next;
    free(piece);
  }
  for (last = &first; *last;) last = &(*last)->next;
  pthread_mutex_unlock(&lock);
  return failed;
}

static ssize_t put(int fd, const void *bytes, size_t len, off_t at) {
  if (mode() == 'f') { errno = ENOSPC; return -1; }
  if (holds()) return hold(fd, bytes, len, at);
  return syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
  return ours(fd) ? put(fd, bytes, len, at) : syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at) {
  return pwrite(fd, bytes, len, at);
}

static off_t held_end(const struct stat *stat) {
  off_t end = 0;
  pthread_mutex_lock(&lock);
  for (struct piece *piece = first; piece; piece = piece->next)
    if (is_of(piece, stat) && piece->at + (off_t)piece->len > end) end = piece->at + piece->len;
  pthread_mutex_unlock(&lock);
  return end;
}

ssize_t pread(int fd, void *bytes, size_t len, off_t at) {
  ssize_t read = syscall(SYS_pread64, fd, bytes, len, at);
  struct stat stat;
  if (read < 0 || !holds() || !ours(fd) || who(fd, &stat)) return read;
  off_t end = held_end(&stat);
  if (end > at + read) {
    size_t whole = end - at < (off_t)len ? (size_t)(end - at) : len;
    memset((char *)bytes + read, 0, whole - read);
    read = whole;
  }
  pthread_mutex_lock(&lock);
  for (struct piece *piece = first; piece; piece = piece->next) {
    if (!is_of(piece, &stat)) continue;
    off_t from = piece->at > at ? piece->at : at;
    off_t to = piece->at + (off_t)piece->len;
    if (to > at + read) to = at + read;
    if (from < to) memcpy((char *)bytes + (from - at), piece->bytes + (from - piece->at), to - from);
  }
  pthread_mutex_unlock(&lock);
  return read;
}

ssize_t pread64(int fd, void *bytes, size_t len, off_t at) { return pread(fd, bytes, len, at); }

int fstat(int fd, struct stat *stat) {
  int done = REAL(fstat)(fd, stat);
  if (!done && holds() && ours(fd)) {
    off_t end = held_end(stat);
    if (end > stat->st_size) stat->st_size = end;
  }
  return done;
}

int fstat64(int fd, struct stat64 *stat) { return fstat(fd, (struct stat *)stat); }

int ftruncate(int fd, off_t size) {
  struct stat stat;
  if (holds() && ours(fd) && !who(fd, &stat)) drain(&stat, -1, size);
  return syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int unlink(const char *path) {
  struct stat found;
  if (holds() && !REAL(stat)(path, &found)) drain(&found, -1, 0);
  return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static int sync_file(int fd, long call) {
  struct stat stat;
  if (ours(fd)) {
    if (mode() == 's') { errno = EIO; return -1; }
    if (holds() && !who(fd, &stat) && drain(&stat, fd, 0)) return -1;
  }
  return syscall(call, fd);
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }
