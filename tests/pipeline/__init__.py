"""Tests of the pipeline: messages in, calls out."""
