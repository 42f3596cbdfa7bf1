// One step of "back" for each page. A page completes its address with what it shows first (runs, file, analysis), and
// Streamlit makes a step of each such addition; whoever pressed "back" met the same page again, up to three times.
const push = history.pushState

function completes(next) {
  const kept = [...new URLSearchParams(location.search)].every(([name, value]) => next.searchParams.get(name) === value)
  return next.origin === location.origin && next.pathname === location.pathname && kept
}

history.pushState = function (state, unused, url) {
  const next = new URL(url ?? location.href, location.href)
  return (completes(next) ? history.replaceState : push).call(history, state, unused, url)
}
