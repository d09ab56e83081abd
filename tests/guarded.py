"""A broker with users, tokens and permissions, and what its clients do."""

from urllib.parse import urlencode

FORM = "application/x-www-form-urlencoded"
PASSWORD = "correct horse battery"


class Guarded:
    """Wraps a server of tests/integration/conftest.py; call it to send a request with a token."""

    def __init__(self, server):
        self.server = server
        self.parts = dict(server.assembly.providers.authenticators)["auth_jwt"].parts
        self.accounts = self.parts.accounts

    def __call__(self, method, path, token=None, **request):
        headers = dict(request.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.server(method, path, headers=headers, **request)

    @property
    def now(self):
        return self.parts.clock.now()

    def run(self, work):
        return self.server.run(work)

    def add(self, name, *grants, password=PASSWORD):
        hashed = self.run(self.parts.passwords.hash(password))
        users = self.accounts.users
        self.run(users.add(name, password_hash=hashed, grants=grants, now=self.now))

    def log_in(self, username, password=PASSWORD, **request):
        """Answer to a login."""
        form = urlencode({"username": username, "password": password})
        return self("POST", "/login", body=form.encode(), content_type=FORM, **request)

    def tokens(self, username, password=PASSWORD):
        """The access token and the refresh token of a new login."""
        answer = self.log_in(username, password)
        assert answer.status == 200, answer.body
        return answer.json["access_token"], answer.json["refresh_token"]

    def refresh(self, token):
        return self("POST", "/refresh", token)
