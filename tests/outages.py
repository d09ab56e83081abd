"""Ways in which the Redis that brokers share goes away, and comes back."""


class Killed:
    def begin(self, valkey, proxy):
        valkey.kill()

    def end(self, valkey, proxy):
        valkey.start()


class Stopped:
    def begin(self, valkey, proxy):
        valkey.pause()

    def end(self, valkey, proxy):
        valkey.go_on()


class Slow:
    def begin(self, valkey, proxy):
        proxy.delay_seconds = 2

    def end(self, valkey, proxy):
        proxy.delay_seconds = 0


OUTAGES = {"kill": Killed(), "stop": Stopped(), "slow": Slow()}
