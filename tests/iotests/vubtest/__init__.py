# SPDX-License-Identifier: GPL-2.0-or-later
"""What the iotests of the vhost-user-blk export stand on.

blkio       a client with several queues: libblkio, which nobody here wrote
export      exports of a daemon's nodes
"""
