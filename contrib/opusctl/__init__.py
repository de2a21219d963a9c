# SPDX-License-Identifier: GPL-2.0-or-later
"""Drive the arrays of a storage daemon from the command line.

Owns: how arguments become QMP commands, and answers become text.
Must not know: anything that the daemon does not say. What this does, QMP does;
nothing here could not be typed into the socket by hand.

A monitor serves one client at a time. So a command connects, says what it has
to, and leaves; "watch" leaves after each look, and keeps no other client out.

cli        the command line
commands   what each command says to the daemon
arguments  sizes, options and members, as users type them
daemon     the connection
jobs       progress, and how jobs end
display    arrays as tables
action     what to do about an array
explain    what words of messages mean
"""
