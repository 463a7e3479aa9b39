"""The paper's four tables (Fig. 2). Never imports Beam."""
