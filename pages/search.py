"""Page: search for the best recipe under limits, within a time; follow it, stop it, extend it, take the best along."""

from __future__ import annotations

import streamlit as st

from optimizers.errors import UnknownName
from pages.components import links, search_board, search_form
from pages.components.model_strip import model_strip
from pages.components.queue import job_queue
from pages.components.shell import inside_app

inside_app()
st.title("Search", anchor=False)
queue = job_queue()
asked = search_form.asked()
if asked:
    try:
        search_board.board(queue, queue.searches.study(asked))
    except UnknownName as error:
        st.warning(error.message, icon=":material/link_off:")
        st.page_link("pages/search.py", label="Begin a search", icon=":material/travel_explore:")
    st.stop()

st.markdown(
    "Say what you want and how long it may take. Recipes and settings are tried on validation data, the best so far is "
    "there to take at any time, and the winner is measured once on test data."
)
chosen = links.choice_or_told(queue)
if chosen is None:
    st.page_link("pages/model.py", label="Choose a model first", icon=":material/arrow_back:")
elif model_strip(queue, chosen):
    search_form.form(queue, chosen)
search_form.earlier(queue)
