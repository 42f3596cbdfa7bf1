"""The comparison on a phone in the same network: its address as a QR code."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import segno
import streamlit as st

from optimizers.devices import network
from pages.components import links


def phone(ids: list[str]) -> None:
    """The QR code, and what has to hold for it to work."""
    address = links.address("device", ids)
    parts = urlsplit(address)
    st.subheader("On a phone", anchor=False)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if parts.hostname and network.is_local(parts.hostname):
        found = network.lan_addresses()
        if not found:
            st.caption("This computer is in no network that a phone could reach it through.")
            return
        host = found[0] if len(found) == 1 else st.selectbox("Address of this computer", found)
        if not network.listens(host, port):
            st.info(
                "The app listens on this computer only. Start it with `--server.address 0.0.0.0`, and other devices of "
                "the same network can open it.", icon=":material/wifi_off:"
            )  # fmt: skip
            return
        address = urlunsplit(parts._replace(netloc=f"{host}:{port}"))
        hint = "The phone must be in the same network, and this computer's firewall must let it in."
    elif parts.hostname:
        hint = "Scan it with the phone's camera."
    else:
        st.caption("The app's own address is unknown here, so there is no code to scan.")
        return
    drawn = segno.make(address, error="m", micro=False).svg_inline(scale=4, border=4, dark="#000", light="#fff")
    st.image(drawn, alt="QR code of this comparison's address", width=220)
    st.caption(f"{hint} Whoever has the address sees this comparison and can add times to it.")
    st.code(address, language=None, wrap_lines=True)
