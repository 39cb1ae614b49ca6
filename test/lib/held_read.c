/*
 * For LD_PRELOAD: holds a server's process where it reads a relation from disk. While the file that PG_RILL_TEST_HOLD
 * names exists, pread() waits if the path of the file read ends with what that file holds. A file of that name and ".held"
 * exists meanwhile.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Whether `hold` exists and names the file behind the descriptor. */
static int is_held(const char *hold, int fd) {
    char link[64], path[4096], end[256];
    const int file = open(hold, O_RDONLY | O_CLOEXEC);
    ssize_t length, path_length;
    if (file < 0)
        return 0;
    length = read(file, end, sizeof(end));
    close(file);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    path_length = readlink(link, path, sizeof(path));
    return length > 0 && path_length >= length && memcmp(path + path_length - length, end, (size_t) length) == 0;
}

static void wait_here(int fd) {
    const char *hold = getenv("PG_RILL_TEST_HOLD");
    char held[4096];
    int file;
    if (hold == NULL || !is_held(hold, fd))
        return;
    snprintf(held, sizeof(held), "%s.held", hold);
    file = open(held, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0)
        close(file);
    while (is_held(hold, fd))
        usleep(10000);
    unlink(held);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset) {
    wait_here(fd);
    return syscall(SYS_pread64, fd, data, size, offset);
}

/* Servers from 17 on. The offset is passed as two halves, the lower one first; on 64-bit systems that holds all. */
ssize_t preadv(int fd, const struct iovec *parts, int count, off_t offset) {
    wait_here(fd);
    return syscall(SYS_preadv, fd, parts, (long) count, (long) offset, 0L);
}
