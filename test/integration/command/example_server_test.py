# The server of README as its user meets it: clients send lines, it is stopped in order and by SIGKILL, and started again.
# Its port is fixed, so it runs in a network namespace of its own; needs root for that.

import array
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import time
import unittest

from command_case import CommandCase, OK, run_tests

SERVER = os.environ.get("CAISSON_EXAMPLE_SERVER", "build/examples/append_server")
PORT = 7000


def setUpModule():
    new_network = 0x40000000  # CLONE_NEWNET
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(new_network) != 0:
        raise unittest.SkipTest("cannot make a network namespace (needs root): " + os.strerror(ctypes.get_errno()))
    get_flags, set_flags, is_up = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = array.array("B", struct.pack("16sH22x", b"lo", 0))
        fcntl.ioctl(any_socket, get_flags, request)
        name, flags = struct.unpack("16sH22x", request)
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH22x", name, flags | is_up))


class ExampleServer(CommandCase):
    def start(self):
        server = subprocess.Popen([os.path.abspath(SERVER)], cwd=self.scratch, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(server.communicate)
        self.addCleanup(server.kill)
        return server

    def connect(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", PORT), timeout=20)
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self.addCleanup(client.close)
        stream = client.makefile("rwb")
        self.addCleanup(stream.close)
        return stream

    def send(self, client, line):
        client.write(line + b"\n")
        client.flush()
        return client.readline()

    def test_it_keeps_lines_and_goes_on_after_a_stop_and_after_a_kill(self):
        stored = []
        for stop in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            server = self.start()
            clients = [self.connect(), self.connect()]
            for k in range(100):
                line = b"%d from %d" % (k, k % 2)
                self.assertEqual(self.send(clients[k % 2], line), b"%d\n" % len(stored))
                stored.append(line)
            server.send_signal(stop)
            self.assertEqual(server.wait(timeout=20), 0 if stop == signal.SIGTERM else -signal.SIGKILL)
        log = os.path.join(self.scratch, "lines.log")
        self.assertEqual(self.caisson("cat", log).out, b"\n".join(stored) + b"\n")
        self.assertEqual(self.caisson("verify", log).code, OK)
        self.assertIn("closed_cleanly: true", self.caisson("stat", log).text)

    def test_it_says_what_is_wrong(self):
        first = self.start()
        self.assertEqual(self.send(self.connect(), b"a"), b"0\n")
        second = self.start()
        _, told = second.communicate(timeout=20)
        self.assertEqual(told, b"the log is open elsewhere, or its previous owner is still finishing\n")
        self.assertEqual(self.send(self.connect(), b"b"), b"1\n")
        first.send_signal(signal.SIGTERM)
        self.assertEqual(first.wait(timeout=20), 0)


if __name__ == "__main__":
    run_tests()
