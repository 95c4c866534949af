"""An SSH server that asks for a password, in one of the two ways that there are: OpenSSH's would want an account of the
machine. asyncssh lies in the environment of stock DVC, whose Python runs this; files are those of the machine.

    python password_sshd.py FOLDER password|keyboard-interactive

prints its port and ends with its standard input.
"""

import pathlib
import subprocess
import sys
import uuid

USER, PASSWORD = "ssh-user", "ssh-password-4"


class PasswordSshd:
    def __init__(self, python: str, root: pathlib.Path, way: str):
        self.root = root
        self.process = subprocess.Popen(
            [python, __file__, str(root), way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        port = self.process.stdout.readline().strip()
        assert port, "the SSH server did not start"
        self.address = f"127.0.0.1:{port}"

    def folder(self) -> tuple[str, pathlib.Path]:
        """A new, empty folder: its URL, and the same folder as it is seen from here."""
        path = self.root / f"test-{uuid.uuid4().hex}"
        path.mkdir()
        return f"ssh://{USER}@{self.address}{path}", path

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(20)


def serve(root: pathlib.Path, way: str) -> None:
    import asyncio

    import asyncssh

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return way == "password"

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, PASSWORD)

        def kbdint_auth_supported(self) -> bool:
            return way == "keyboard-interactive"

        def get_kbdint_challenge(self, username: str, lang: str, submethods: str):
            return "", "", "", [("Password: ", False)]

        def validate_kbdint_response(self, username: str, responses) -> bool:
            return (username, list(responses)) == (USER, [PASSWORD])

    async def until_the_end() -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        listener = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[key], server_factory=Server, sftp_factory=asyncssh.SFTPServer)
        print(listener.get_port(), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        listener.close()

    asyncio.run(until_the_end())


if __name__ == "__main__":
    serve(pathlib.Path(sys.argv[1]), sys.argv[2])
