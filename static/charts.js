// Loads the script of charts once the first page stands still: a chart that is asked for later is then drawn at once.
const SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"] [data-testid="stElementContainer"]'
const PAUSE = 700 // ms between two looks; the page has to stand still at two of them
const script = document.querySelector('meta[name="charts"]').content
const load = () => import(script).catch(() => {}) // Streamlit asks again, and tells if it cannot be had
const soon = window.requestIdleCallback ?? ((call) => setTimeout(call, 200)) // Safari has no idle callbacks

function look(before) {
  const settled = document.querySelector(SETTLED) !== null
  if (settled && before) soon(load)
  else setTimeout(look, PAUSE, settled)
}

if (!navigator.connection?.saveData) setTimeout(look, PAUSE, false)
