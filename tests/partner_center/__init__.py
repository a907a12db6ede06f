"""Tests of partner_center."""
