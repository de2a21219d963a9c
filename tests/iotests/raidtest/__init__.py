# SPDX-License-Identifier: GPL-2.0-or-later
"""What the iotests of opus-raid stand on.

nbd         a client that keeps many requests in flight
superblock  read and patch md superblocks in member files
members     member files, and the nodes over them
jobs        wait for jobs, and see what they made of the redundancy
daemon      a storage daemon with arrays in it
load        random requests, and what the array must hold after them
array       an array full of random data, closed
ctl         opusctl, as a user runs it
faulty      an array whose members fail where and when a test says
rules       what blkdebug is told for that
alike       cases that say the same are logged once
scenario    one titled part of a test
"""
