"""Requests that the cache has answered, as they were read: the very same bytes need not be read a second time.

Only what hit is kept, so that requests which never come again cost nothing but the looking. Of a chat alone: its
operation does not change while it is answered.
"""

from __future__ import annotations

from collections import OrderedDict

from cortex.operation import Chat

MAX_BODIES_BYTES = 16 * 1024 * 1024  # all together, with what is read of them
_OBJECTS_BYTES = 1200  # of a request that has been read, its body apart
_MAX_BODY_BYTES = 64 * 1024


class Repeats:
    def __init__(self) -> None:
        self.size_bytes = 0
        self._chats: OrderedDict[tuple[str, bytes], Chat] = OrderedDict()  # the least recently added first

    def __len__(self) -> int:
        return len(self._chats)

    def get(self, dialect: str, body: bytes) -> Chat | None:
        return self._chats.get((dialect, body))

    def add(self, chat: Chat) -> None:
        if len(chat.body) > _MAX_BODY_BYTES or (chat.dialect, chat.body) in self._chats:
            return
        self._chats[chat.dialect, chat.body] = chat
        self.size_bytes += _OBJECTS_BYTES + len(chat.body)
        while self.size_bytes > MAX_BODIES_BYTES:
            (_, body), _ = self._chats.popitem(last=False)
            self.size_bytes -= _OBJECTS_BYTES + len(body)
