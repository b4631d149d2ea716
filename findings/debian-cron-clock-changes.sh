#!/usr/bin/env bash
# Debian's cron 3.0pl1-162 runs a line whose minute or hour begins with `*`, such as `*/2`, twice in a repeated hour and
# not at all in a skipped one. Other lines run once in a repeated hour, and right after a skipped one. This script
# compiles cron's source with a simulated clock, and needs apt-get and a C compiler.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

cd "$work"
key=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb-src [signed-by=$key] http://deb.debian.org/debian bookworm main" >sources.list
mkdir -p lists/partial run/crontabs run/cron.d
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists")
"${apt[@]}" update 2>/dev/null
"${apt[@]}" source --download-only cron=3.0pl1-162 2>/dev/null
tar xf cron_3.0pl1.orig.tar.gz
cd cron-3.0pl1.orig
tar xf ../cron_3.0pl1-162.debian.tar.xz
grep -v '^#' debian/patches/series | while read -r patch; do patch -p1 -s <"debian/patches/$patch" >/dev/null; done
# Keep its files in the temporary folder. Instead of running a job, print a line.
sed -i "s#\"/var/spool/cron\"#\"$work/run\"#; s#\"/etc/crontab\"#\"$work/run/crontab\"#
    s#\"/etc/cron.d\"#\"$work/run/cron.d\"#; s#PIDDIR\t_PATH_VARRUN#PIDDIR \"$work/run/\"#; s#\"/run/crond.reboot\"#\"$work/run/reboot\"#" pathnames.h
cat >clock.h <<'END'
#include <stdio.h>
#include <time.h>
#include <unistd.h>
time_t simulated_time(time_t *);
unsigned simulated_sleep(unsigned);
#define time(result) simulated_time(result)
#define sleep(seconds) simulated_sleep(seconds)
END
cat >clock.c <<'END'
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
static time_t now;
time_t simulated_time(time_t *result) {
    if (now == 0) now = atol(getenv("CLOCK_START"));
    if (result) *result = now;
    return now;
}
unsigned simulated_sleep(unsigned seconds) {
    now = simulated_time(NULL) + seconds;
    if (now > atol(getenv("CLOCK_END"))) _exit(0);
    return 0;
}
END
cat >report.c <<'END'
#include "cron.h"
void do_command(entry *e, user *u) {
    time_t now = time(NULL);
    char text[64];
    strftime(text, sizeof text, "%H:%M %Z", localtime(&now));
    printf("%s: %s\n", e->cmd, text);
    fflush(stdout);
}
END
gcc -w -fcommon -DPOSIX -D_GNU_SOURCE -DDEBIAN -DDEBUGGING=0 -include clock.h -I. cron.c database.c user.c entry.c \
    job.c env.c misc.c popen.c compat.c report.c clock.c -o cron

for line in '30 2' '0,30 2' '*/30 2' '0 */2' '0 0-23/2'; do echo "$line * * * root $line"; done >"$work/run/crontab"
chmod 644 "$work/run/crontab"
# night NAME START HOURS: prints when each line runs.
night() {
    TZ=Europe/Berlin CLOCK_START=$2 CLOCK_END=$(($2 + $3 * 3600)) ./cron -f >"$work/out" 2>/dev/null || true
    while IFS=' ' read -r minute hour _; do
        awk -v night="$1" -v line="$minute $hour" -F ': ' '$1 == line { times = times " " $2 }
            END { print night ", " line ":" times }' "$work/out"
    done <"$work/run/crontab"
}
echo 'cron 3.0pl1-162, Europe/Berlin, the nights of 2026-03-29 and 2026-10-25:'
{ night forward 1774743300 2; night back 1792883700 4; } | expect 'forward, 30 2: 03:00 CEST
forward, 0,30 2: 03:00 CEST 03:00 CEST
forward, */30 2:
forward, 0 */2: 04:00 CEST
forward, 0 0-23/2: 03:00 CEST 04:00 CEST
back, 30 2: 02:30 CEST
back, 0,30 2: 02:00 CEST 02:30 CEST
back, */30 2: 02:00 CEST 02:30 CEST 02:00 CET 02:30 CET
back, 0 */2: 02:00 CEST 02:00 CET 04:00 CET
back, 0 0-23/2: 02:00 CEST 04:00 CET'
