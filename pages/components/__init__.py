"""What several pages share. Pages hold no logic; these modules hold little, and none of it computes."""
