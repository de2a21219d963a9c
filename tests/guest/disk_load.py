# SPDX-License-Identifier: GPL-2.0-or-later
"""disk-load in a guest of two CPUs, in the background.

Owns: how it is started and ended.
Must not know: whose disk it is.
"""

# {part}: bytes of the disk for each CPU; {threads}: of each CPU
START_LOAD = '''
for cpu in 0 1; do
    (
        status=0
        disk-load /dev/vda $((cpu * {part})) {part} $cpu {threads} || status=$?
        echo "status $status"
    ) > load.$cpu 2>&1 &
done
'''
END_LOAD = '''
kill -TERM $(pidof disk-load)
while [ "$(cat load.0 load.1 | grep -c status)" != 2 ]; do sleep 0.1; done
cat load.0 load.1
'''
