"""Charts of what was measured: DataFrames in, plotly figures out. Nothing here reads files or imports Streamlit."""
