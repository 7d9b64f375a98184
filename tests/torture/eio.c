/* Preloaded: fsync and fdatasync fail with EIO, while the file named by RECOUNT_TEST_EIO_WHILE exists, for files
   whose path holds the text of RECOUNT_TEST_EIO_PATH. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int broken(int file)
{
    const char *control = getenv("RECOUNT_TEST_EIO_WHILE"), *part = getenv("RECOUNT_TEST_EIO_PATH");
    char link[64], path[4096];
    ssize_t length;

    if (!control || !part || access(control, F_OK) != 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = '\0';
    return strstr(path, part) != NULL;
}

int fsync(int file)
{
    if (broken(file)) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(file);
}

int fdatasync(int file)
{
    if (broken(file)) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(file);
}
