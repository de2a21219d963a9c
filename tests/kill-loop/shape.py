# SPDX-License-Identifier: GPL-2.0-or-later
"""What an array looks like, and what it promises."""

import itertools

KIB = 1024

_PARITY_LAYOUTS = ('left-asymmetric', 'right-asymmetric', 'left-symmetric',
                   'right-symmetric', 'parity-first', 'parity-last')


# Policies with which nothing is resynced.
LOGS = ('ppl', 'journal')


class Shape:
    """A random one, of a level if one is given.

    policies: the consistency policies that the daemon knows, none if it knows
    of no choice. The one that there is may change; while nobody knows, it is
    None.
    """

    def __init__(self, rng, level=None, policies=()):
        self.level = level or rng.choice(('raid0', 'raid1', 'raid1', 'raid5',
                                          'raid5', 'raid6', 'raid6', 'raid10',
                                          'raid10'))
        self.options = {'level': self.level}
        self.parity = self.level in ('raid5', 'raid6')
        self.mirrors = self.level in ('raid1', 'raid10')
        if self.level == 'raid0':
            self.slots = rng.randint(2, 5)
            self.tolerates = 0
        elif self.level == 'raid1':
            self.slots = rng.randint(2, 4)
            self.tolerates = self.slots - 1
        elif self.parity:
            self.tolerates = {'raid5': 1, 'raid6': 2}[self.level]
            self.slots = rng.randint(2 + self.tolerates, 6)
            self.options['layout'] = rng.choice(_PARITY_LAYOUTS)
        else:
            self.slots = rng.randint(4, 6)
            self.tolerates = rng.choice((1, 1, 1, 2))
            self.options['copies'] = self.tolerates + 1
            self.options['layout'] = rng.choice(('near', 'far', 'offset'))
        if self.level != 'raid1':
            self.options['chunk-size'] = KIB * rng.choice((4, 8, 16, 32, 64,
                                                           128))
        self.data_offset = KIB * rng.choice((64, 256, 1024))
        self.options['data-offset'] = self.data_offset
        self._choose_policy(rng, policies)
        self.member_bytes = (self.data_offset
                             + KIB * rng.randrange(1024, 5 * 1024, 4))

    def _choose_policy(self, rng, policies):
        levels = {'ppl': ('raid5',), 'journal': ('raid5', 'raid6')}
        if self.level == 'raid0':
            policies = ()
        self.policies = [policy for policy in policies
                         if self.level in levels.get(policy, (self.level,))]
        self.policy = rng.choice(self.policies or ['resync'])
        self.write_mostly = self.mirrors and rng.random() < 0.3
        if self.policies:
            self.options['consistency-policy'] = self.policy
        if self.policy == 'bitmap':
            self.options['bitmap-chunk-size'] = KIB * rng.choice(
                (64, 256, 1024))
        elif self.policy in LOGS:
            self.data_offset = 2048 * KIB
            self.options['data-offset'] = self.data_offset

    def __str__(self):
        text = f'{self.slots} x {self.member_bytes}'
        return text + ''.join(f', {key} {value}'
                              for key, value in self.options.items())

    def needs_log_when_degraded(self):
        """Is it refused when it is dirty and degraded at the same time?

        Nothing but a log of what was being written could make up for that.
        """
        return self.parity and self.policy not in LOGS

    def bears_bad_blocks(self):
        """Killed while it is dirty, can it do without a part of a member?"""
        return self.mirrors or self.policy == 'journal'

    def may_garble(self):
        """Dirty and degraded, may a write in flight leave neither old nor new?

        A partial parity log keeps the rest of the stripe right, but what was
        being written to the missing member is computed from a stripe of which
        some is old and some is new.
        """
        return self.policy == 'ppl'

    def losses(self, rng, most):
        """Sets of slots without which all data must be there; @most sets."""
        sets = [lost for count in range(1, self.tolerates + 1)
                for lost in itertools.combinations(range(self.slots), count)]
        return rng.sample(sets, min(most, len(sets)))
